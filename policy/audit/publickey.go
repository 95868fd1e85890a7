package audit

// Public returns the public key in the form that note.NewVerifier and other
// tools for signed notes read: NAME+HASH+KEY. Errors: those of [Key.Check].
func (k *Key) Public() (string, error) {
	if _, err := k.load(); err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text[1], nil
}
