package client_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// surface returns the exported methods of Client and the exported fields of the
// types that go in and come out, as the table names them, and the types.
func surface(t *testing.T) (members, types []string, comment string) {
	t.Helper()
	files := token.NewFileSet()
	pkgs, err := parser.ParseDir(files, ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.ParseComments) //nolint:staticcheck // one package without build tags
	if err != nil {
		t.Fatal(err)
	}
	p := doc.New(pkgs["client"], "", 0)
	for _, f := range p.Funcs {
		members = append(members, f.Name)
	}
	for _, typ := range p.Types {
		types = append(types, typ.Name)
		for _, f := range typ.Funcs {
			members = append(members, f.Name)
		}
		if typ.Name == "Client" {
			for _, m := range typ.Methods {
				members = append(members, "Client."+m.Name)
			}
		}
		for _, spec := range typ.Decl.Specs {
			structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					if name.IsExported() {
						members = append(members, typ.Name+"."+name.Name)
					}
				}
			}
		}
	}
	return members, types, p.Doc
}

// TestTable holds the table of the package comment to what is exported, and to
// the names of the seed's page.
func TestTable(t *testing.T) {
	members, types, comment := surface(t)
	table, beyond, found := strings.Cut(comment, "\nBeyond it: ")
	if !found || len(members) < 50 {
		t.Fatalf("%d members, and the comment reads\n%s", len(members), comment)
	}
	beyond, _, _ = strings.Cut(beyond, ".\n")
	var seed, ours []string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "  ")
		cells = slices.DeleteFunc(cells, func(c string) bool { return c == "" })
		if strings.HasPrefix(line, "\t") && len(cells) == 2 {
			seed, ours = append(seed, cells[0]), append(ours, strings.TrimSpace(cells[1]))
		}
	}
	ours = append(ours, strings.FieldsFunc(beyond, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })...)
	for _, name := range ours {
		if !slices.Contains(members, name) && !slices.Contains(types, name) {
			t.Errorf("the table names %s, which there is not", name)
		}
	}
	for _, name := range members {
		if !slices.Contains(ours, name) {
			t.Errorf("%s has no place in the table", name)
		}
	}
	// The methods, types with their fields and errors of the seed's page.
	for owner, names := range map[string]string{
		"":                               "getSecret setSecret listSecrets requestToken waitForApproval rotateSecret deleteSecret items nextCursor AgentVaultError AgentVaultAuthError AgentVaultPermissionError AgentVaultNotFoundError AgentVaultRateLimitError AgentVaultApprovalPendingError AgentVaultNetworkError",
		"AgentVaultOptions":              "agentKey baseUrl timeoutMs retries retryDelay",
		"GetSecretOptions":               "version token",
		"SetSecretOptions":               "tier description tags expiresAt",
		"ListOptions":                    "limit cursor",
		"TokenOptions":                   "scope ttlSeconds description allowedIps maxUses",
		"WaitOptions":                    "timeoutMs",
		"RotateOptions":                  "gracePeriodSeconds",
		"RotateResult":                   "newVersion oldVersion expiresAt",
		"DeleteOptions":                  "permanent",
		"Secret":                         "path value version tier description tags createdAt updatedAt accessedAt expiresAt",
		"ScopedToken":                    "value scope ttlSeconds expiresAt description allowedIps maxUses approvalStatus approvalRequestId",
		"AgentVaultError":                "message code statusCode",
		"AgentVaultPermissionError":      "path requiredScope",
		"AgentVaultNotFoundError":        "path",
		"AgentVaultRateLimitError":       "retryAfter",
		"AgentVaultApprovalPendingError": "approvalRequestId",
		"AgentVaultNetworkError":         "cause",
	} {
		for name := range strings.FieldsSeq(names) {
			if owner != "" {
				name = owner + "." + name
			}
			if !slices.Contains(seed, name) {
				t.Errorf("the table lacks the seed's %s", name)
			}
		}
	}
}
