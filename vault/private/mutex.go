package private

// A Mutex is a lock between processes that a file stands for, held by one of
// those that opened it. Those that wait block in the system and are let in by
// the order of their coming (Linux since 4.20, Windows; nothing is promised
// elsewhere), but one that comes at the very moment of the release may pass in
// front. The lock ends with the process that holds it.
//
//	m, err := private.OpenMutex(path)
//	if got, err := m.TryLock(); err == nil && !got {
//		err = m.Lock()
//	}
//	defer m.Unlock()
//
// It is not for use by several goroutines at once, but that Close may come at
// any time. The path must not be on a network filesystem.
//
// Beside [Lock], which gives up after a time and finds a lock free within some
// milliseconds, this one cannot be given up, and the next one in line has it at once.
type Mutex struct{ mutex }

// OpenMutex opens the lock file, making it with mode 0600. The file stays:
// whoever removed it would part those who hold it from those who come.
func OpenMutex(path string) (*Mutex, error) {
	m, err := openMutex(path)
	if err != nil {
		return nil, err
	}
	return &Mutex{m}, nil
}

// TryLock takes the lock if nobody has it, and reports whether it did.
func (m *Mutex) TryLock() (bool, error) { return m.try() }

// Lock blocks until the lock is taken, which nothing can interrupt. Once the
// Mutex is closed it fails at the latest when the holder lets go, and takes nothing.
func (m *Mutex) Lock() error { return m.wait() }

// Unlock lets the next one in.
func (m *Mutex) Unlock() error { return m.release() }

// Close unlocks too. It does not wait for a Lock that still blocks.
func (m *Mutex) Close() error { return m.close() }
