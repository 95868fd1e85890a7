//go:build race

package cli_test

// leakShapes is less where everything takes ten times as long.
const leakShapes = 1
