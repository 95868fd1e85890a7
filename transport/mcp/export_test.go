package mcp

// AppendQuoted is appendQuoted.
var AppendQuoted = appendQuoted
