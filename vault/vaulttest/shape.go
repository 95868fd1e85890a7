package vaulttest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
)

// Shape is a kind of secret with a made-up value of it, the same in every run.
type Shape struct {
	Name  string
	Value string
}

// Shapes returns the kinds of secrets that every test about leaks uses. All but
// the last are text.
func Shapes() []Shape {
	part := func(seed byte, n int) string { return base64.RawURLEncoding.EncodeToString(pseudorandom(seed, n)) }
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pseudorandom(1, 300)}))
	account, _ := json.MarshalIndent(map[string]string{ //nolint:gosec // made up
		"type": "service_account", "project_id": "example-1", "private_key_id": fmt.Sprintf("%x", pseudorandom(2, 20)), "private_key": key,
		"client_email": "desk@example-1.example", "token_uri": "https://oauth2.example/token",
	}, "", "  ")
	return []Shape{
		{"token", "sk-proj-Ab3Cd4Ef5Gh6"},
		{"JWT", part(3, 27) + "." + part(4, 500) + "." + part(5, 256)},
		{"PEM key", key},
		{"service account", string(account)},
		{"password", `k3y/"<&'>\ +=%?#;ü~Zq`}, // every character that some encoder escapes
		{"unicode", "Tür-鍵-ключ 42 😀 öffne"},
		{"binary", string(pseudorandom(6, 24))},
	}
}

func pseudorandom(seed byte, n int) []byte {
	var key [32]byte
	key[0] = seed
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(out)
	return out
}
