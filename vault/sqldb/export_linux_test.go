package sqldb

// NetworkMagic is how [OnNetwork] judges a filesystem's number.
var NetworkMagic = networkMagic
