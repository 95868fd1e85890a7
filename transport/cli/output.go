package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// writeJSON writes one result as an indented JSON document.
func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// done writes the outcome of a command that says nothing to people.
func (a *app) done(document any) error {
	if !a.json {
		return nil
	}
	return a.writeJSON(document)
}

// table writes rows in columns; the first row is the head.
func (a *app) table(rows [][]string) error { return writeTable(a.Out, rows) }

func writeTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := io.WriteString(w, strings.Join(row, "\t")+"\n"); err != nil {
			return err
		}
	}
	return w.Flush()
}

// secretRow is a secret's metadata as JSON. Times are RFC 3339, absent when unset.
type secretRow struct {
	Path         string            `json:"path"`
	Version      int               `json:"version"`
	Tier         string            `json:"tier"`
	Type         string            `json:"type"`
	Description  string            `json:"description,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Metadata     json.RawMessage   `json:"metadata,omitempty"` // what else programs keep with it, an object
	Destinations []destinationRow  `json:"destinations"`
	Generate     string            `json:"generate,omitempty"`
	Binary       bool              `json:"binary,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
	AccessedAt   time.Time         `json:"accessed_at,omitzero"` // last read in plain
	ExpiresAt    time.Time         `json:"expires_at,omitzero"`
	DeletedAt    time.Time         `json:"deleted_at,omitzero"`
}

type destinationRow struct {
	To      string   `json:"to"`
	In      string   `json:"in"`
	Network []string `json:"network,omitempty"`
	Answer  string   `json:"answer"`
}

func describe(m vault.Metadata) secretRow {
	row := secretRow{
		Path: string(m.Path), Version: m.Version, Tier: string(m.Tier), Type: string(m.Type), Description: m.Description,
		Tags: m.Tags, Metadata: json.RawMessage(m.Extra), Generate: string(m.Generate), Binary: m.Binary, Destinations: []destinationRow{},
		CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, AccessedAt: m.AccessedAt, ExpiresAt: m.ExpiresAt, DeletedAt: m.DeletedAt,
	}
	for _, d := range m.Destinations {
		to := destinationRow{To: d.String(), In: d.HTTP.In.String(), Answer: d.HTTP.Answer.String()}
		for _, n := range d.HTTP.Network {
			to.Network = append(to.Network, n.String())
		}
		row.Destinations = append(row.Destinations, to)
	}
	return row
}

func (a *app) writePage(page vault.Page) error {
	if a.json {
		rows := []secretRow{}
		for _, m := range page.Items {
			rows = append(rows, describe(m))
		}
		return a.writeJSON(struct {
			Items []secretRow `json:"items"`
			Next  string      `json:"next,omitempty"`
		}{rows, page.Next})
	}
	rows := [][]string{{"PATH", "VERSION", "TIER", "TYPE", "UPDATED", "MAY GO TO"}}
	for _, m := range page.Items {
		rows = append(rows, []string{
			string(m.Path), fmt.Sprint(m.Version), string(m.Tier), string(m.Type), m.UpdatedAt.Format(time.DateOnly), destinationsText(m),
		})
	}
	if len(page.Items) > 0 {
		if err := a.table(rows); err != nil {
			return err
		}
	}
	if page.Next != "" {
		a.note("More: --cursor %s", page.Next)
	}
	return nil
}

func destinationsText(m vault.Metadata) string {
	if len(m.Destinations) == 0 {
		return "nowhere yet"
	}
	var to []string
	for _, d := range m.Destinations {
		to = append(to, d.String())
	}
	return strings.Join(to, " ")
}

// wayText says where a value may go, in which place, and what is shown of the
// answer if that is not all.
func wayText(d vault.Destination) string {
	text := d.String() + " in " + d.HTTP.In.String()
	if d.HTTP.Answer.Show != vault.ShowFull {
		text += ", answer " + d.HTTP.Answer.String()
	}
	return text
}

func (a *app) writeMetadata(m vault.Metadata) error {
	if a.json {
		return a.writeJSON(describe(m))
	}
	rows := [][]string{
		{"path", string(m.Path)}, {"version", fmt.Sprint(m.Version)}, {"tier", string(m.Tier)}, {"type", string(m.Type)},
	}
	if m.Description != "" {
		rows = append(rows, []string{"description", m.Description})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
		rows = append(rows, []string{"tag", name + "=" + m.Tags[name]})
	}
	if m.Extra != "" {
		rows = append(rows, []string{"metadata", printed(m.Extra)})
	}
	for _, d := range m.Destinations {
		rows = append(rows, []string{"may go to", wayText(d)})
	}
	if len(m.Destinations) == 0 {
		rows = append(rows, []string{"may go to", "nowhere yet"})
	}
	if m.Generate != "" {
		rows = append(rows, []string{"generate", string(m.Generate)})
	}
	rows = append(rows, []string{"created", m.CreatedAt.Format(time.RFC3339)}, []string{"updated", m.UpdatedAt.Format(time.RFC3339)})
	if !m.AccessedAt.IsZero() {
		rows = append(rows, []string{"last read", m.AccessedAt.Format(time.RFC3339)})
	}
	if !m.ExpiresAt.IsZero() {
		rows = append(rows, []string{"expires", m.ExpiresAt.Format(time.RFC3339)})
	}
	return a.table(rows)
}

func (a *app) writeHistory(versions []vault.Version) error {
	type row struct {
		Version       int       `json:"version"`
		CreatedAt     time.Time `json:"created_at"`
		Current       bool      `json:"current"`
		ReadableUntil time.Time `json:"readable_until,omitzero"`
	}
	var list []row
	table := [][]string{{"VERSION", "CREATED", "STATE"}}
	for _, v := range versions {
		list = append(list, row{v.Number, v.CreatedAt, v.Current, v.ReadableUntil})
		state := "readable by number"
		switch {
		case v.Current:
			state = "current"
		case !v.ReadableUntil.IsZero() && !v.ReadableUntil.After(a.now()):
			state = "retired"
		case !v.ReadableUntil.IsZero():
			state = "readable until " + v.ReadableUntil.Format(time.RFC3339)
		}
		table = append(table, []string{fmt.Sprint(v.Number), v.CreatedAt.Format(time.RFC3339), state})
	}
	if a.json {
		return a.writeJSON(map[string]any{"versions": list})
	}
	return a.table(table)
}

func (a *app) writeRotated(r broker.Rotated) error {
	if a.json {
		return a.writeJSON(struct {
			Path             string    `json:"path"`
			NewVersion       int       `json:"new_version"`
			OldVersion       int       `json:"old_version"`
			OldReadableUntil time.Time `json:"old_readable_until"`
		}{string(r.Metadata.Path), r.Metadata.Version, r.OldVersion, r.OldReadableUntil})
	}
	a.note("Rotated %s to version %d; version %d is readable until %s.", r.Metadata.Path, r.Metadata.Version,
		r.OldVersion, r.OldReadableUntil.Format(time.RFC3339))
	return nil
}
