package cli_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/zalando/go-keyring"
)

// fileRing is a keyring that several processes share: a folder. "" is a machine
// without one.
type fileRing string

func (r fileRing) Get(service, account string) (string, error) {
	if r == "" {
		return "", keyring.ErrUnsupportedPlatform
	}
	text, err := os.ReadFile(filepath.Join(string(r), service+"-"+account))
	if errors.Is(err, fs.ErrNotExist) {
		err = keyring.ErrNotFound
	}
	return string(text), err
}

func (r fileRing) Set(service, account, text string) error {
	if r == "" {
		return keyring.ErrUnsupportedPlatform
	}
	return os.WriteFile(filepath.Join(string(r), service+"-"+account), []byte(text), 0o600)
}

// killAfter kills this process after so many steps, as kill -9 does; "" never.
func killAfter(steps string) func(string) error {
	left, err := strconv.Atoi(steps)
	if err != nil {
		return nil
	}
	return func(string) error {
		if left--; left > 0 {
			return nil
		}
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		time.Sleep(time.Minute) // until it is
		return err
	}
}
