package vaulttest

// FindTexts returns the numbers of the texts that stand in data.
func FindTexts(texts [][]byte, data []byte) []int { return newFinder(texts).in(data) }
