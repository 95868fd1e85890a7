package redeem_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func answer(t *testing.T, s string) vault.Answer {
	t.Helper()
	a, err := vault.ParseAnswer(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSelect(t *testing.T) {
	const body = `{"id": 12345678901234567890.10, "token": "x", "items": [{"name": "a<", "key": "k", "in": {"b": 1}}, {"key": "k"}, {"name": null}, 7], "a/b": true, "": 1, "*": 2, "0": 3}`
	for fields, want := range map[string]string{
		"fields:/id":                          `{"id":12345678901234567890.10}`,
		"fields:/id,/none":                    `{"id":12345678901234567890.10}`,
		"fields:/items/*/name":                `{"items":[{"name":"a<"},null,{"name":null}]}`,
		"fields:/items/1":                     `{"items":[null,{"key":"k"}]}`,
		"fields:/items/1/key,/items/*/in":     `{"items":[{"in":{"b":1}},{"key":"k"}]}`,
		"fields:/items/0/in/b,/items/*/name":  `{"items":[{"in":{"b":1},"name":"a<"},null,{"name":null}]}`,
		"fields:/items/0,/items/0/name":       `{"items":[{"in":{"b":1},"key":"k","name":"a<"}]}`,
		"fields:/items/*":                     `{"items":[{"in":{"b":1},"key":"k","name":"a<"},{"key":"k"},{"name":null},7]}`,
		"fields:/a~1b,/":                      `{"":1,"a/b":true}`,
		"fields:/*":                           `{"*":2}`,
		"fields:/0":                           `{"0":3}`,
		"fields:/none":                        "",
		"fields:/id/x,/token/0,/items/name":   "",
		"fields:/items/00,/items/-,/items/+1": "",
	} {
		got, some := redeem.Select([]byte(body), []vault.Answer{answer(t, fields)})
		if string(got) != want || some != (want != "") {
			t.Errorf("%s: %s %v", fields, got, some)
		}
	}
	if got, _ := redeem.Select([]byte("\ufeff{\"id\":1}"), []vault.Answer{answer(t, "fields:/id")}); string(got) != `{"id":1}` {
		t.Errorf("behind a byte order mark: %s", got)
	}
	for _, broken := range []string{"", "x", `{"id":1`, `{"id":1}{}`, "<id>1</id>", "\xff"} {
		if got, some := redeem.Select([]byte(broken), []vault.Answer{answer(t, "fields:/id")}); some {
			t.Errorf("%q: %s", broken, got)
		}
	}
}

// Of several answers only what all of them show is left, in any order.
func TestStrictestHolds(t *testing.T) {
	const body = `{"a":{"b":1,"c":2},"d":[{"e":1,"f":2},{"e":3}],"g":4}`
	for _, c := range []struct {
		answers []string
		show    vault.Show
		want    string
	}{
		{nil, vault.ShowFull, body},
		{[]string{"full", "full"}, vault.ShowFull, body},
		{[]string{"full", "status"}, vault.ShowStatus, ""},
		{[]string{"fields:/a", "status"}, vault.ShowStatus, ""},
		{[]string{"full", "fields:/a"}, vault.ShowFields, `{"a":{"b":1,"c":2}}`},
		{[]string{"fields:/a,/g", "fields:/a/b,/d", "full"}, vault.ShowFields, `{"a":{"b":1}}`},
		{[]string{"fields:/d/*/e", "fields:/d/1"}, vault.ShowFields, `{"d":[null,{"e":3}]}`},
		{[]string{"fields:/a", "fields:/g"}, vault.ShowFields, ""},
	} {
		answers := []vault.Answer{}
		backwards := []vault.Answer{}
		for _, s := range c.answers {
			answers, backwards = append(answers, answer(t, s)), append([]vault.Answer{answer(t, s)}, backwards...)
		}
		for _, list := range [][]vault.Answer{answers, backwards} {
			if got := redeem.Strictest(list); got != c.show {
				t.Errorf("%v: %q", c.answers, got)
			}
			if c.show == vault.ShowStatus {
				continue
			}
			if got, _ := redeem.Select([]byte(body), list); string(got) != c.want {
				t.Errorf("%v: %s", c.answers, got)
			}
		}
	}
}

// All destinations that a request fits have a say, in whatever order.
func TestFitTakesEveryAnswer(t *testing.T) {
	h := newHandle(t)
	p := prepare(t, redeem.Call{URL: base + "?key=" + h})
	list := func(answers ...string) (out []vault.Destination) {
		for _, s := range answers {
			d := destination(t, "api.example.com", "query:key")
			d.Answer = answer(t, s)
			out = append(out, vault.Destination{HTTP: &d})
		}
		other, elsewhere := destination(t, "api.example.com", "header:X-Key"), destination(t, "other.example.com", "query:key")
		other.Answer, elsewhere.Answer = answer(t, "status"), answer(t, "status")
		return append(out, vault.Destination{HTTP: &other}, vault.Destination{HTTP: &elsewhere})
	}
	for want, answers := range map[vault.Show][]string{vault.ShowFull: {"full"}, vault.ShowFields: {"full", "fields:/a"}, vault.ShowStatus: {"full", "status", "fields:/a"}} {
		place, err := p.Fit(h, "", list(answers...))
		if err != nil || len(place.Answers) != len(answers) || redeem.Strictest(place.Answers) != want {
			t.Errorf("%v: %+v %v", answers, place, err)
		}
	}
}
