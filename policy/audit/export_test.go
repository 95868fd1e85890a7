package audit

// TileName is tileName.
var TileName = tileName
