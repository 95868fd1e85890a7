package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

type exportFlags struct {
	out              string
	references, show bool
}

func (a *app) secretExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use: "export [NAMESPACE]", Short: "Write the values of many secrets, or references to them",
		Long: `Writes the newest value of every secret below NAMESPACE as .env text, in a form
that 'secret import' reads back to the byte, or with --json with path, version and
type. Each value is on record as read. --references writes references in place of
the values and reads none.

A .env file has names without slashes and values of text: secrets further below, in
other namespaces or with binary values need --json, and so does the whole vault.
Names that shells or other programs obey, such as PATH, BASH_ENV, LD_PRELOAD,
NODE_OPTIONS or GIT_SSH_COMMAND, are refused: whoever may store a secret would choose
what runs where the file is sourced. No list of them is complete; read the names
before you source a file with secrets that others may store.
Expired secrets are left out; their values stay shut.`,
		Example: "  coatcheck secret export production/app --out .env\n" +
			"  coatcheck secret export production/app --references > .env.example\n" +
			"  coatcheck secret export --json --out everything.json",
		Args: atMostOne("NAMESPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace := ""
			if len(args) == 1 && args[0] != "" {
				p, err := vault.ParsePath(strings.TrimSuffix(args[0], "/"))
				if err != nil {
					return err
				}
				namespace = string(p)
			}
			switch {
			case cmd.Flags().Changed("out") && f.out == "":
				return usage("--out needs the name of a file")
			case f.out == "" && !f.references && !f.show && isTerminal(a.Out):
				return usage("this would show values on the terminal: use --out FILE, a pipe, or --show if that is what you want")
			}
			return a.asOwner(cmd.Context(), func(d *desk, who identity.Principal) error {
				return a.export(cmd.Context(), d, who, namespace, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "write to `FILE`, a new one that only you may read")
	flags.BoolVar(&f.references, "references", false, "write references in place of values")
	flags.BoolVar(&f.show, "show", false, "write values to a terminal too")
	return cmd
}

func (a *app) export(ctx context.Context, d *desk, who identity.Principal, namespace string, f exportFlags) error {
	list, err := a.exportable(ctx, d, who, namespace)
	if err != nil {
		return err
	}
	form := envText
	if a.json {
		form = jsonText
	}
	// What cannot be written is refused before anything is read.
	names, err := form.names(list, namespace)
	if err != nil {
		return err
	}
	var text []byte
	if f.references {
		text, err = form.references(list, names)
	} else {
		text, err = a.exportValues(ctx, d, who, list, names, form)
	}
	if err != nil {
		return err
	}
	defer clear(text)
	if f.out == "" {
		_, err := a.Out.Write(text)
		return err
	}
	err = private.CreateFile(f.out, text)
	switch {
	case errors.Is(err, fs.ErrExist):
		return codedError{fmt.Errorf("%s is there already", f.out), exitConflict, "Name a file that does not exist."}
	case err != nil:
		return usage("--out cannot be written: %w", err)
	}
	a.note("Wrote %d secrets to %s.", len(list), f.out)
	return nil
}

// exportable lists what may be exported.
func (a *app) exportable(ctx context.Context, d *desk, who identity.Principal, namespace string) (list []vault.Metadata, err error) {
	r := broker.ListRequest{Limit: vault.MaxPageSize}
	if namespace != "" {
		r.Prefix = namespace + "/"
	}
	var expired []string
	for {
		page, err := d.List(ctx, who, r)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Items {
			if !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(a.now()) {
				expired = append(expired, string(m.Path))
				continue
			}
			list = append(list, m)
		}
		if r.After = page.Next; r.After == "" {
			break
		}
	}
	for i, p := range expired {
		if i == maxHints {
			a.note("Left out, expired: %d more", len(expired)-maxHints)
			break
		}
		a.note("Left out, expired: %s", p)
	}
	if len(list) == 0 && namespace != "" {
		return nil, fmt.Errorf("below %s: %w", namespace, vault.ErrNotFound)
	}
	return list, nil
}

// exportPage is how many values are read in one transaction.
const exportPage = 500

func (a *app) exportValues(ctx context.Context, d *desk, who identity.Principal, list []vault.Metadata, names []string, form exportForm) ([]byte, error) {
	progress := a.meter("Reading", len(list))
	defer progress.end()
	secrets := make([]vault.Secret, 0, len(list))
	for from := 0; from < len(list); from += exportPage {
		var paths []vault.Path
		for _, m := range list[from:min(from+exportPage, len(list))] {
			paths = append(paths, m.Path)
		}
		page, err := d.Export(ctx, who, paths)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, page...)
		progress.set(len(secrets))
	}
	return form.values(secrets, names)
}

// exportForm is a way to write secrets.
type exportForm struct {
	names      func(list []vault.Metadata, namespace string) ([]string, error)
	references func(list []vault.Metadata, names []string) ([]byte, error)
	values     func(secrets []vault.Secret, names []string) ([]byte, error)
}

// envText is NAME=VALUE, as package dotenv writes it.
var envText = exportForm{names: envNames, references: envReferences, values: envValues} //nolint:gochecknoglobals // a constant

func envNames(list []vault.Metadata, namespace string) ([]string, error) {
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = string(m.Path)
		if namespace != "" {
			names[i] = strings.TrimPrefix(names[i], namespace+"/")
		}
		if m.Binary {
			return nil, notInEnv(m.Path, "has a binary value")
		}
		switch err := dotenv.CheckName(names[i]); {
		case errors.Is(err, dotenv.ErrObeyed):
			return nil, obeyedName(m.Path)
		case err != nil:
			return nil, notInEnv(m.Path, "has a name that .env files do not have")
		}
	}
	return names, nil
}

func notInEnv(p vault.Path, why string) error {
	return usage("%s %s; nothing was read: use --json, or the namespace that it lies in", p, why)
}

// obeyedName is a name that would make whoever sources the file run what somebody
// else chose.
func obeyedName(p vault.Path) error {
	return usage("%s has a name that shells or other programs obey, so that its value would be an order to them; nothing was read:"+
		" use --json, or delete it if you did not make it ('coatcheck audit tail' says who did)", p)
}

func envReferences(list []vault.Metadata, names []string) (text []byte, err error) {
	for i, m := range list {
		if text, err = dotenv.Append(text, names[i], []byte(m.Path.Reference())); err != nil {
			return nil, err
		}
	}
	return text, nil
}

func envValues(secrets []vault.Secret, names []string) (text []byte, err error) {
	for i, s := range secrets {
		value := s.Value.Reveal()
		text, err = dotenv.Append(text, names[i], value)
		clear(value)
		if err != nil {
			clear(text)
			return nil, usage("%s: %w; use --json", s.Path, err)
		}
	}
	return text, nil
}

// jsonText is one document with everything there is.
var jsonText = exportForm{ //nolint:gochecknoglobals // a constant
	names: func([]vault.Metadata, string) ([]string, error) { return nil, nil },
	references: func(list []vault.Metadata, _ []string) ([]byte, error) {
		rows := []map[string]string{}
		for _, m := range list {
			rows = append(rows, map[string]string{"path": string(m.Path), "reference": m.Path.Reference()})
		}
		return document(rows)
	},
	values: func(secrets []vault.Secret, _ []string) ([]byte, error) {
		type row struct {
			secretRow
			Value    string `json:"value"`
			Encoding string `json:"encoding"`
		}
		rows := []row{}
		for _, s := range secrets {
			value := s.Value.Reveal()
			r := row{describe(s.Metadata), string(value), "utf-8"}
			if s.Binary {
				r.Value, r.Encoding = base64.StdEncoding.EncodeToString(value), "base64"
			}
			clear(value)
			rows = append(rows, r)
		}
		return document(rows)
	},
}

func document(secrets any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(map[string]any{"secrets": secrets})
	return b.Bytes(), err
}
