package vault

import (
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// Apply checks c against every limit of this package and returns what m, the
// metadata of the live secret or the zero Metadata of a new one, becomes at
// now. It is what all vaults share of [Vault.Put]: it settles every field but
// Path and Version numbers other than m.Version+1, and leaves c and m as they are.
// The error is an *[InvalidError].
func (c Change) Apply(m Metadata, now time.Time) (Metadata, error) {
	now = now.UTC().Truncate(time.Microsecond)
	for _, set := range []func(*Metadata, time.Time) error{c.applyValue, c.applyText, c.applyDestinations, c.applyExpiry} {
		if err := set(&m, now); err != nil {
			return Metadata{}, err
		}
	}
	m.UpdatedAt = now
	return m, nil
}

func (c Change) applyValue(m *Metadata, now time.Time) error {
	if c.Grace != nil && (*c.Grace < 0 || *c.Grace > MaxGrace) {
		return invalid("grace", "is not between 0 and %d days", int(MaxGrace.Hours()/24))
	}
	isNew := m.Version == 0
	switch {
	case c.Value.Len() > MaxValueBytes:
		return invalid("value", "is longer than %d bytes", MaxValueBytes)
	case c.Value.IsZero() && (isNew || c.Value.Given()):
		return invalid("value", "is empty")
	case c.Value.IsZero() && c.Grace != nil:
		return invalid("grace", "needs a new value")
	case !c.Value.IsZero():
		m.Version++
		m.Binary = !c.Value.IsText()
	}
	if isNew {
		m.Type, m.Tier, m.CreatedAt = Custom, Standard, now
	}
	return nil
}

func (c Change) applyText(m *Metadata, _ time.Time) (err error) {
	if c.Type != nil {
		if m.Type, err = ParseType(string(*c.Type)); err != nil {
			return err
		}
	}
	if c.Tier != nil {
		if m.Tier, err = ParseTier(string(*c.Tier)); err != nil {
			return err
		}
	}
	if c.Description != nil {
		if err := checkText("description", *c.Description, MaxDescriptionBytes); err != nil {
			return err
		}
		m.Description = *c.Description
	}
	if c.Tags != nil {
		if err := checkTags(*c.Tags); err != nil {
			return err
		}
		m.Tags = nil
		if len(*c.Tags) > 0 {
			m.Tags = maps.Clone(*c.Tags)
		}
	}
	if c.Extra != nil {
		if m.Extra, err = ParseExtra(*c.Extra); err != nil {
			return err
		}
	}
	if c.Generate != nil {
		if *c.Generate != "" {
			if _, err := ParseRecipe(string(*c.Generate)); err != nil {
				return err
			}
		}
		m.Generate = *c.Generate
	}
	return nil
}

func (c Change) applyDestinations(m *Metadata, _ time.Time) error {
	if c.Destinations == nil {
		return nil
	}
	if len(*c.Destinations) > MaxDestinations {
		return invalid("to", "names more than %d destinations", MaxDestinations)
	}
	m.Destinations = nil
	for _, d := range *c.Destinations {
		if d.HTTP != nil {
			own := *d.HTTP
			own.Methods, own.Paths, own.Network = slices.Clone(own.Methods), slices.Clone(own.Paths), slices.Clone(own.Network)
			d.HTTP = &own
		}
		if err := d.Check(); err != nil {
			return err
		}
		m.Destinations = append(m.Destinations, d)
	}
	return nil
}

func (c Change) applyExpiry(m *Metadata, now time.Time) error {
	if c.ExpiresAt == nil {
		return nil
	}
	t := c.ExpiresAt.UTC().Truncate(time.Microsecond)
	switch {
	case t.IsZero():
		t = time.Time{}
	case !t.After(now):
		return invalid("expires", "lies in the past")
	case t.Year() > 9999:
		return invalid("expires", "lies after the year 9999")
	}
	m.ExpiresAt = t
	return nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return invalid("tags", "are more than %d", MaxTags)
	}
	for name, text := range tags {
		if name == "" {
			return invalid("tags", "have an empty name")
		}
		for _, s := range []string{name, text} {
			if err := checkText("tags", s, MaxTagBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkText admits printable UTF-8 on one line: letters, marks, numbers,
// punctuation, symbols and the plain space. Control characters and invisible
// ones that change how text is shown (bidirectional overrides, zero widths)
// are refused, because people and models read this text.
func checkText(field, s string, limit int) error {
	if len(s) > limit {
		return invalid(field, "is longer than %d bytes", limit)
	}
	if !utf8.ValidString(s) {
		return invalid(field, "is not valid UTF-8")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return invalid(field, "has a character that is not printable")
		}
	}
	return nil
}
