package cli

// ownUID is nobody's: there are no numbers here, and no sockets that need them.
func ownUID() uint32 { return ^uint32(0) }

func openFiles([]string, string) []string { return []string{"not known on this system"} }

func openProcess(int) []string { return nil }
