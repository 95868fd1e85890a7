package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint means that text given as a checkpoint or anchor is not one that
// this log's key signed. Look for the right file; the log was not judged.
var ErrCheckpoint = errors.New("not a checkpoint of this log")

// signTree returns the checkpoint of t: a signed note (C2SP signed-note) whose
// text has three lines (C2SP tlog-checkpoint):
//
//	ORIGIN       the signer's name
//	SIZE         number of leaves, decimal
//	ROOT         root hash, base64
//
// followed by an empty line and "— ORIGIN SIGNATURE".
func signTree(t tlog.Tree, signer note.Signer) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), t.N, base64.StdEncoding.EncodeToString(t.Hash[:]))
	return note.Sign(&note.Note{Text: text}, signer)
}

// openTree checks the signature of a checkpoint and returns its tree. Lines
// after the third, which the form permits and this log never writes, are
// refused. Error: [ErrCheckpoint].
func openTree(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: no valid signature", ErrCheckpoint)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("%w: another origin or form", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("%w: no size", ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("%w: no root hash", ErrCheckpoint)
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

// ready opens a key that is loaded on first use ([Key]), so that one which
// cannot be opened does not look like a forged signature, and nothing is loaded
// inside a transaction. Errors: [ErrNoKey] and others of [Key.Check].
func ready(verifier note.Verifier) error {
	if k, ok := verifier.(interface{ Check() error }); ok {
		return k.Check()
	}
	return nil
}

// openAnchors reads checkpoints kept outside the database, one after another,
// and returns their trees by rising size. Error: [ErrCheckpoint], also for text
// that is empty and not nil: a file that lost its content.
func openAnchors(text []byte, verifier note.Verifier) ([]tlog.Tree, error) {
	if text != nil && len(text) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrCheckpoint)
	}
	var trees []tlog.Tree
	start, signed := 0, false
	for at := 0; at < len(text); {
		end := at + strings.IndexByte(string(text[at:])+"\n", '\n') + 1
		isSignature := strings.HasPrefix(string(text[at:min(end, len(text))]), "— ")
		if signed && !isSignature {
			tree, err := openTree(text[start:at], verifier)
			if err != nil {
				return nil, err
			}
			trees = append(trees, tree)
			start = at
		}
		at, signed = end, isSignature
	}
	if start < len(text) {
		tree, err := openTree(text[start:], verifier)
		if err != nil {
			return nil, err
		}
		trees = append(trees, tree)
	}
	slices.SortFunc(trees, func(a, b tlog.Tree) int { return int(min(max(a.N-b.N, -1), 1)) })
	return trees, nil
}
