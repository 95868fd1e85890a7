package handle

// GiveWay is how many of a full ring give way at once.
const GiveWay = giveWay
