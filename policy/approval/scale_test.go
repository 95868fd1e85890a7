//go:build !race

package approval_test

// scale divides the volume of tests: the race detector makes the database tens
// of times slower.
const scale = 1
