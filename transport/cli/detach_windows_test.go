package cli_test

// detach does nothing here: a program has no terminal but its console.
func detach() {}
