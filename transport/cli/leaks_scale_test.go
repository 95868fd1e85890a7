//go:build !race

package cli_test

// leakShapes is how many of the shapes of secrets go through the doors: all but
// the binary one, which no place in a request takes.
const leakShapes = 6
