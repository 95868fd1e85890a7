package dotenv_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// read returns NAME=VALUE for each entry, and NAME→PATH for a reference.
func read(f *dotenv.File) []string {
	out := []string{}
	for _, e := range f.Entries {
		if e.Reference != "" {
			out = append(out, e.Name+"→"+string(e.Reference))
		} else {
			out = append(out, e.Name+"="+string(e.Value.Reveal()))
		}
	}
	return out
}

func TestParse(t *testing.T) {
	pem := "-----BEGIN KEY-----\nMIIEvQIBADANBg\nab+/c==\n-----END KEY-----\n"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":              {"", nil},
		"comments and blanks":  {"# a=b\n\n  \t\n  # c\n#", nil},
		"plain":                {"A=b", []string{"A=b"}},
		"several":              {"A=b\nC=d\n", []string{"A=b", "C=d"}},
		"CRLF":                 {"A=b\r\nC='d'\r\n\r\n", []string{"A=b", "C=d"}},
		"byte order mark":      {"\uFEFFA=b", []string{"A=b"}},
		"export":               {"export A=b\n  export\tC=d", []string{"A=b", "C=d"}},
		"export is a name too": {"export=x", []string{"export=x"}},
		"names":                {"_a1.b-C=x\na=y", []string{"_a1.b-C=x", "a=y"}},
		"blanks around":        {"  A \t=  b c\t \n", []string{"A=b c"}},
		"= in the value":       {"A=b=c==", []string{"A=b=c=="}},
		"comment behind":       {"D='e' # f\nG=\"h\"\t#i\nJ='' # k", []string{"D=e", "G=h", "J="}},
		"# in the value":       {"A=b#c\nD=#e\nF='#g'\nH=\"i # j\"", []string{"A=b#c", "D=#e", "F=#g", "H=i # j"}},
		"empty":                {"A=\nB=''\nC=\"\"\nD=   \nF=#", []string{"A=", "B=", "C=", "D=", "F=#"}},
		"single quotes":        {`A='b "c" \n $d ${e} $(f) ' `, []string{`A=b "c" \n $d ${e} $(f) `}},
		"double quotes":        {`A=" b\n\r\t\\\"\$c $d 'e' "`, []string{"A= b\n\r\t\\\"$c $d 'e' "}},
		"escaped expansion":    {`A="\${b} \$(c)"`, []string{"A=${b} $(c)"}},
		"escaped backticks":    {"A=\"\\`b\\`\"", []string{"A=`b`"}},
		"quotes inside":        {`A=it's "fine"`, []string{`A=it's "fine"`}},
		"dollar":               {"A=pa$word$", []string{"A=pa$word$"}},
		"backslash":            {`A=C:\x\y`, []string{`A=C:\x\y`}},
		"lines in quotes":      {"A='b\nc'\nD=\"" + pem + "\"\nE=f", []string{"A=b\nc", "D=" + pem, "E=f"}},
		"CRLF in quotes":       {"A='b\r\nc'", []string{"A=b\r\nc"}},
		"not ASCII":            {"A=ключ\nB='é'", []string{"A=ключ", "B=é"}},
		"reference":            {"A=coatcheck://a/b\nC='coatcheck://d e/f' # g", []string{"A→a/b", "C→d e/f"}},
		"reference further on": {"A=x coatcheck://a/b", []string{"A=x coatcheck://a/b"}},
		"a JSON document":      {`A='{"type":"service_account","n":1}'`, []string{`A={"type":"service_account","n":1}`}},
		"no line break at end": {"A='b'", []string{"A=b"}},
		"a connection string":  {"DB=postgres://u:p@h/d?x=1&y=2", []string{"DB=postgres://u:p@h/d?x=1&y=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := dotenv.Parse([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := read(f); !slices.Equal(got, test.want) {
				t.Errorf("read %q, want %q", got, test.want)
			}
		})
	}
}

// TestWhatIsRefused holds the line and the reason. No reason repeats the text,
// which has "canary" in it.
func TestWhatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		text, want string
	}{
		"no name":             {"A=b\n=canary", "line 2: it does not begin with a name"},
		"a key alone":         {"canary", "line 1: no = follows the name"},
		"a name that is none": {"1canary=b", "line 1: it does not begin with a name"},
		"a name with a blank": {"canary b=c", "line 1: no = follows the name"},
		"yaml":                {"canary: b", "line 1: no = follows the name"},
		"twice":               {"canary=b\n\ncanary=c", "line 3: the name stands in line 1 already"},
		"not UTF-8":           {"A=b\nB=canary\xff", "line 2: it is not UTF-8 text"},
		"NUL":                 {"A=b\nB=canary\x00", "line 2: there is a control character"},
		"escape character":    {"A='canary\x1b[0m'", "line 1: there is a control character"},
		"lone CR":             {"A=b\rB=canary", "line 1: there is a control character"},
		"expansion":           {"A=${canary}", "line 1: ${…}, $(…) and `…` are not expanded here"},
		"expansion, quoted":   {"A=\"x ${canary}\"", "line 1: ${…}"},
		"command":             {"A=$(canary)", "line 1: ${…}"},
		"command, quoted":     {"A=\"$(canary)\"", "line 1: ${…}"},
		"backticks":           {"A=`canary`", "line 1: ${…}"},
		"backticks, quoted":   {"A=\"x `canary`\"", "line 1: ${…}"},
		"a lone backtick":     {"A=\"canary`\"", "line 1: ${…}"},
		"a # in the value":    {"A=b\nB=canary # canary", "line 2: a # follows a blank"},
		"# after many blanks": {"A=canary b \t#canary", "line 1: a # follows a blank"},
		"# after = and blank": {"A= # canary\n", "line 1: a # follows a blank"},
		"# at a reference":    {"A=coatcheck://canary/b # c", "line 1: a # follows a blank"},
		"continued":           {"A=canary\\\nB=c", "line 1: the value ends with \\"},
		"escape":              {`A="canary\d"`, "line 1: after \\ in double quotes"},
		"escape, unicode":     {`A="canary\u0041"`, "line 1: after \\ in double quotes"},
		"escape at the end":   {`A="canary\`, "line 1: the quote is not closed"},
		"open single":         {"\nA='canary\n\n", "line 2: the quote is not closed"},
		"open double":         {"A=\"canary", "line 1: the quote is not closed"},
		"a forgotten quote":   {"A=\"canary\nB=c\nD=\"e\"", "line 1: the quote is not closed before line 2, which looks like another entry"},
		"forgotten, exported": {"A='x\ncanary\n export\tB='canary", "line 1: the quote is not closed before line 3"},
		"text behind":         {"A='canary'b", "line 1: text follows the closing quote"},
		"a comment too near":  {"A=\"canary\"#b", "line 1: text follows the closing quote"},
		"two quoted":          {"A='canary' 'canary'", "line 1: text follows the closing quote"},
		"bad reference":       {"A=b\nB=coatcheck://canary//x", "line 2: what follows coatcheck:// names no secret"},
		"a long value":        {"A=b\nB=" + strings.Repeat("canary", 1<<18), "line 2: the value is longer than 1048576 bytes"},
		"a long text":         {strings.Repeat("canary\n", 10<<20), "line 1: the text is longer than 67108864 bytes"},
		"many":                {many(dotenv.MaxEntries + 1), "line 100001: there are more than 100000 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dotenv.Parse([]byte(test.text))
			var syntax *dotenv.SyntaxError
			if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Error("the error repeats the text")
			}
		})
	}
}

func many(n int) string {
	var b strings.Builder
	name := []byte("AAAAAA")
	for range n {
		b.Write(name)
		b.WriteString("=x\n")
		for i := len(name) - 1; ; i-- {
			if name[i]++; name[i] <= 'Z' {
				break
			}
			name[i] = 'A'
		}
	}
	return b.String()
}

func TestReplaceTouchesValuesOnly(t *testing.T) {
	const text = "\uFEFF# head\r\nexport A = 'x y' # keep\nB=\"p\nq\"\n\nC=\nD=''\nE=coatcheck://a/b\nF=\"plain\"  # and this\n\tG=#h"
	const want = "\uFEFF# head\r\nexport A = 'new/A' # keep\nB=new/B\n\nC=\nD=''\nE=coatcheck://a/b\nF='new/F'  # and this\n\tG=new/G"
	f, err := dotenv.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := f.Replace(func(e dotenv.Entry) string { return "new/" + e.Name })
	if string(got) != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestAppend(t *testing.T) {
	for value, want := range map[string]string{
		"x": "A=x\n", "a/b.c:d@e%+,=^-f": "A=a/b.c:d@e%+,=^-f\n", "a b": "A='a b'\n", "#": "A='#'\n", `say "hi"`: "A='say \"hi\"'\n",
		"it's": `A="it's"` + "\n", "a\nb": `A="a\nb"` + "\n", "$'`\\\"\t\r": "A=\"\\$'\\`\\\\\\\"\\t\\r\"\n", "${x}": "A='${x}'\n", "b`id`": "A='b`id`'\n", "it's `id` $(id)": "A=\"it's \\`id\\` \\$(id)\"\n", "é": "A='é'\n",
	} {
		if got, err := dotenv.Append([]byte("# c\n"), "A", []byte(value)); err != nil || string(got) != "# c\n"+want {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	for name, test := range map[string]struct{ name, value, field string }{
		"no name": {"", "x", "name"}, "a slash": {"a/b", "x", "name"}, "a digit first": {"1a", "x", "name"}, "a blank": {"a b", "x", "name"},
		"empty": {"A", "", "value"}, "binary": {"A", "\xff", "value"}, "NUL": {"A", "a\x00", "value"}, "escape": {"A", "\x1b[0m", "value"},
		"long": {"A", strings.Repeat("x", vault.MaxValueBytes+1), "value"},
	} {
		var bad *vault.InvalidError
		if got, err := dotenv.Append([]byte("# c\n"), test.name, []byte(test.value)); !errors.As(err, &bad) || bad.Field != test.field || string(got) != "# c\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestWhatOthersChooseIsNotRun: who sources what was written runs nothing of it,
// whoever chose names and values.
func TestWhatOthersChooseIsNotRun(t *testing.T) {
	for _, name := range []string{
		"PATH", "path", "Path", "ENV", "BASH_ENV", "PS4", "PROMPT_COMMAND", "IFS", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES",
		"NODE_OPTIONS", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "JAVA_TOOL_OPTIONS", "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0",
	} {
		if got, err := dotenv.Append([]byte("# c\n"), name, []byte("x")); !errors.Is(err, dotenv.ErrObeyed) || string(got) != "# c\n" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, err := dotenv.Parse([]byte(name + "=x\n")); err != nil {
			t.Errorf("%s is not read: %v", name, err)
		}
	}
	for _, name := range []string{"API_KEY", "GIT_TOKEN", "NODE_ENV", "PATHS", "MY_PATH", "LD", "NPM_TOKEN", "PYTHON_KEY", "JAVA_HOME_KEY"} {
		if err := dotenv.CheckName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A line such as x-y=/run is the name of a program to a shell, the file run in
	// the folder "x-y=", and what follows export is none.
	if got, err := dotenv.Append(nil, "x-y", []byte("/run")); err != nil || string(got) != "export x-y=/run\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestWhatIsWrittenIsReadBack: any values that can be written come back as they
// were, in their order.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_.-]{0,8}`), 1, 8, rapid.ID[string]).Draw(t, "names")
		var text []byte
		var want []string
		for _, name := range names {
			value := rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("ab'\"\\$\n\r\t #={}(`é\u2028\uFEFF")), 1, 12, -1), rapid.StringN(1, 20, -1)).Draw(t, "value")
			if strings.HasPrefix(value, vault.ReferencePrefix) {
				continue
			}
			after, err := dotenv.Append(text, name, []byte(value))
			if err != nil {
				continue
			}
			text, want = after, append(want, name+"="+value)
		}
		f, err := dotenv.Parse(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := read(f); !slices.Equal(got, want) {
			t.Fatalf("%q is read as %q, want %q", text, got, want)
		}
	})
}

// FuzzParse: whatever is read is read the same from the canonical text of it,
// and replacing each value by its quoted self changes nothing that is read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"A=b\n", "export A='b' # c\r\n", "A=\"b\\n\\\"\"\nC=", "A='b\nc'", "A=${b}", "A=b#c\nD= #e", "\uFEFFA=coatcheck://a/b", "A=b\\", "=", "A='",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		was := bytes.Clone(text)
		file, err := dotenv.Parse(text)
		if !bytes.Equal(was, text) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			var syntax *dotenv.SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 || syntax.Line > 1+bytes.Count(text, []byte("\n")) {
				t.Fatal(err)
			}
			return
		}
		quoted := file.Replace(func(e dotenv.Entry) string { return string(e.Value.Reveal()) })
		again, err := dotenv.Parse(quoted)
		if err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		if !slices.Equal(read(file), read(again)) {
			t.Fatalf("%q is read as %q, and %q as %q", text, read(file), quoted, read(again))
		}
	})
}
