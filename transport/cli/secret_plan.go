package cli

import (
	"fmt"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// importPlan is what an import is going to do, and what it leaves out.
type importPlan struct {
	file    *dotenv.File
	into    string
	secrets []plannedSecret
	empty   []string // names without a value
	already int      // references
}

type plannedSecret struct {
	entry  dotenv.Entry
	path   vault.Path
	change vault.Change
	looks  proposal
}

func planImport(file *dotenv.File, f importFlags) (*importPlan, error) {
	tier, err := vault.ParseTier(f.tier)
	if err != nil {
		return nil, err
	}
	namespace, err := vault.ParsePath(strings.TrimSuffix(f.into, "/"))
	if err != nil {
		return nil, usage("--into: %w", err)
	}
	plan := &importPlan{file: file, into: string(namespace)}
	for _, e := range file.Entries {
		switch {
		case e.Reference != "":
			plan.already++
			continue
		case e.Value.IsZero():
			plan.empty = append(plan.empty, e.Name)
			continue
		}
		p, err := vault.JoinPath(plan.into, e.Name)
		if err != nil {
			return nil, usage("line %d: %w", e.Line, err)
		}
		if len(plan.secrets) == broker.MaxImport {
			return nil, usage("line %d: it is value %d, and one import stores %d at most, since everybody else who writes waits for it: put what begins here in"+
				" a file of its own, and import each", e.Line, broker.MaxImport+1, broker.MaxImport)
		}
		plan.secrets = append(plan.secrets, plannedSecret{entry: e, path: p, change: vault.Change{Value: e.Value, Tier: &tier}})
	}
	return plan, nil
}

// propose gives values that look like a known provider's keys their type and,
// with known, the provider's hosts.
func (p *importPlan) propose(providers *catalogue.Catalogue, known bool) {
	for i := range p.secrets {
		s := &p.secrets[i]
		s.looks = providers.Propose(s.entry.Name, s.entry.Value)
		if kind, agreed := s.looks.kind(); agreed {
			s.change.Type = &kind
		}
		if provider, one := s.looks.one(); one && known {
			to := provider.Destinations()
			s.change.Destinations = &to
		}
	}
}

func (p *importPlan) items() []broker.ImportItem {
	out := make([]broker.ImportItem, len(p.secrets))
	for i, s := range p.secrets {
		out[i] = broker.ImportItem{Path: s.path, Change: s.change}
	}
	return out
}

// withReferences is the file with a reference for each value.
func (p *importPlan) withReferences() []byte {
	to := make(map[string]vault.Path, len(p.secrets))
	for _, s := range p.secrets {
		to[s.entry.Name] = s.path
	}
	return p.file.Replace(func(e dotenv.Entry) string { return to[e.Name].Reference() })
}

// importRow is one secret of an import as JSON.
type importRow struct {
	Name         string           `json:"name"`
	Path         string           `json:"path"`
	Version      int              `json:"version"`
	Created      bool             `json:"created"`
	Type         string           `json:"type"`
	Provider     string           `json:"provider,omitempty"`
	Destinations []destinationRow `json:"destinations"`
}

func (p *importPlan) document(stored []broker.Imported, dry, rewritten bool) any {
	rows := []importRow{}
	for i, s := range stored {
		planned := p.secrets[i]
		row := importRow{
			Name: planned.entry.Name, Path: string(planned.path), Version: s.Metadata.Version, Created: s.Created,
			Type: string(s.Metadata.Type), Destinations: describe(s.Metadata).Destinations,
		}
		if len(planned.looks) == 1 {
			row.Provider = planned.looks[0].Name
		}
		rows = append(rows, row)
	}
	return struct {
		Namespace  string      `json:"namespace"`
		DryRun     bool        `json:"dry_run"`
		Secrets    []importRow `json:"secrets"`
		Empty      []string    `json:"empty"`
		References int         `json:"references"`
		Rewritten  bool        `json:"rewritten"`
	}{p.into, dry, rows, append([]string{}, p.empty...), p.already, rewritten}
}

// tellDryRun shows what would be stored.
func (a *app) tellDryRun(p *importPlan, stored []broker.Imported) error {
	if a.json {
		return a.writeJSON(p.document(stored, true, false))
	}
	rows := [][]string{{"NAME", "PATH", "WOULD BE", "TYPE", "MAY GO TO"}}
	for i, s := range stored {
		kind := fmt.Sprintf("version %d", s.Metadata.Version)
		if s.Created {
			kind = "new"
		}
		rows = append(rows, []string{p.secrets[i].entry.Name, string(p.secrets[i].path), kind, string(s.Metadata.Type), destinationsText(s.Metadata)})
	}
	if len(stored) > 0 {
		if err := a.table(rows); err != nil {
			return err
		}
	}
	a.tellLeftOut(p)
	a.tellProviders(p, stored, len(stored))
	a.note("Nothing was stored.")
	return nil
}

// maxHints is how many proposals follow an import.
const maxHints = 20

// tellImport says what became of an import.
func (a *app) tellImport(p *importPlan, stored []broker.Imported, rewritten bool, file string) error {
	if a.json {
		return a.writeJSON(p.document(stored, false, rewritten))
	}
	made := 0
	for _, s := range stored {
		if s.Created {
			made++
		}
	}
	a.note("Stored %d secrets below %s: %d new, %d next versions.", len(stored), p.into, made, len(stored)-made)
	a.tellLeftOut(p)
	a.tellProviders(p, stored, maxHints)
	switch {
	case rewritten:
		a.note("%s holds references now.", file)
	case len(stored) > 0 && file != "-":
		a.note("The values still stand in %s.", file)
	}
	return nil
}

func (a *app) tellLeftOut(p *importPlan) {
	if len(p.empty) > 0 {
		a.note("  left out, without a value: %s", strings.Join(p.empty[:min(len(p.empty), maxHints)], " ")+map[bool]string{true: " …"}[len(p.empty) > maxHints])
	}
	if p.already > 0 {
		a.note("  left out, references already: %d", p.already)
	}
}

// tellProviders proposes where keys of known providers may go.
func (a *app) tellProviders(p *importPlan, stored []broker.Imported, limit int) {
	more := 0
	for i, s := range stored {
		looks := p.secrets[i].looks
		if len(looks) == 0 || len(s.Metadata.Destinations) > 0 {
			continue
		}
		if more++; more <= limit {
			a.propose(p.secrets[i].entry.Name, s.Metadata, looks)
		}
	}
	if more > limit {
		a.note("  and %d more; --to-known lets new ones go to their provider", more-limit)
	}
}
