//go:build !race

package mcp_test

// raceCosts is by what the race detector multiplies memory.
const raceCosts = 1
