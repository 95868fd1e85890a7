// Package policy answers who may do what with which secret, from one YAML
// file.
package policy
