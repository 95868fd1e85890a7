package envelope

import "bytes"

// Limits of a message.
const (
	MaxDepth   = 64  // arrays and objects inside each other
	MaxMembers = 256 // members of one object
	MaxBatch   = 64  // messages in one batch
	MaxIDBytes = 256 // a text id as it is written, with its quotes
)

// Codes of JSON-RPC 2.0 §5.1.
const (
	ParseError     = -32700
	InvalidRequest = -32600
)

// Kind says what a message is.
type Kind int

// The kinds of messages.
const (
	Request      Kind = iota // method and id
	Notification             // method without id
	Response                 // result or error
	Batch                    // an array of messages, not yet looked into
)

// Message is what Check found. The slices point into the bytes that were
// checked.
type Message struct {
	Kind      Kind
	ID        []byte // as written: a string with its quotes or a whole number; nil when there is none
	Method    []byte // without quotes; only plain characters
	Params    []byte // the object as written; nil when there is none
	Tool      []byte // params.name without quotes, when it needs no escapes
	Arguments []byte // params.arguments as written
	RequestID []byte // params.requestId as written
	// Plain reports that params hold nothing but name, arguments and a _meta that
	// names no revision: a tools/call that needs no more than its tool.
	Plain   bool
	Version []byte // params._meta["io.modelcontextprotocol/protocolVersion"] without quotes
}

// Error is a message that did not pass. Text is fixed for each rule.
type Error struct {
	Code int
	Text string
	ID   []byte // the message's id if it could be told, else nil
}

// Error returns Text.
func (e *Error) Error() string { return e.Text }

const metaVersion = "io.modelcontextprotocol/protocolVersion"

// envelopeNames and paramNames are the member names that the library decodes
// into fields. Another spelling of one of them is refused.
//
//nolint:gochecknoglobals // constant tables
var (
	envelopeNames = [...]string{"jsonrpc", "id", "method", "params", "result", "error"}
	paramNames    = [...]string{
		"_meta", "name", "arguments", "task", "requestId", "reason", "cursor", "protocolVersion", "clientInfo",
		"capabilities", "inputResponses", "requestState", "notifications", "level", "uri", "ref", "argument", "context", "taskId",
	}
)

// Check reads one message, or a batch of them.
func Check(text []byte) (Message, *Error) {
	c := checker{src: text}
	c.blank()
	switch {
	case c.at == len(c.src):
		c.fail("the message is empty")
	case c.src[c.at] == '{':
		c.object(1, envelopeLevel)
	default:
		c.value(0)
		c.found.Kind = Batch
	}
	c.blank()
	if c.at < len(c.src) {
		c.fail("something follows the message")
	}
	switch {
	case c.broken != "":
		return Message{}, &Error{Code: ParseError, Text: c.broken}
	case c.found.Kind == Batch && bytes.TrimLeft(text, " \t\r\n")[0] != '[':
		return Message{}, &Error{Code: InvalidRequest, Text: "the message is not an object"}
	case c.found.Kind == Batch:
		return c.found, nil
	}
	return c.classify()
}

// classify applies the rules of JSON-RPC 2.0 §4 and 5, with ids as MCP allows.
func (c *checker) classify() (Message, *Error) {
	m := &c.found
	id, fine := m.ID, true
	if id != nil && !validID(id) {
		id, fine = nil, false
	}
	invalid := func(what string) (Message, *Error) {
		return Message{}, &Error{Code: InvalidRequest, Text: what, ID: id}
	}
	switch {
	case c.misspelt:
		return invalid("a member name of the message is not spelled exactly")
	case string(c.version) != `"2.0"`:
		return invalid(`jsonrpc is not "2.0"`)
	case m.Method == nil && (c.result || c.errored):
		m.Kind = Response
		return *m, nil
	case !fine:
		return invalid("the id is not a short string or a whole number up to 2^53")
	case m.Method == nil:
		return invalid("there is no method")
	case c.result || c.errored:
		return invalid("the message is a request and a response at once")
	case !validMethod(m.Method):
		return invalid("the method is not a plain name")
	case m.Params != nil && m.Params[0] != '{':
		return invalid("params is not an object")
	}
	m.Kind, m.Method, m.Plain = Request, m.Method[1:len(m.Method)-1], !c.special
	if m.ID == nil {
		m.Kind = Notification
	}
	return *m, nil
}

// validID admits strings, and whole numbers that every parser keeps exactly.
func validID(id []byte) bool {
	if id[0] == '"' {
		return len(id) <= MaxIDBytes
	}
	digits := bytes.TrimPrefix(id, []byte{'-'})
	const exact = "9007199254740992" // 2^53
	if len(digits) > len(exact) || len(digits) == len(exact) && string(digits) > exact {
		return false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
	}
	return len(digits) > 0 && (len(digits) == len(id) || digits[0] != '0')
}

func validMethod(quoted []byte) bool {
	if len(quoted) < 3 || len(quoted) > 130 || quoted[0] != '"' {
		return false
	}
	for _, b := range quoted[1 : len(quoted)-1] {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '/' && b != '_' && b != '-' && b != '.' && b != '$' {
			return false
		}
	}
	return true
}

// Split returns the messages of a batch that Check has accepted, or an error
// for an empty or too long one.
func Split(batch []byte) ([][]byte, *Error) {
	c := checker{src: batch}
	c.blank()
	c.at++ // the bracket
	var out [][]byte
	for {
		c.blank()
		if c.broken != "" || c.at >= len(c.src) || c.src[c.at] == ']' {
			break
		}
		if len(out) == MaxBatch {
			return nil, &Error{Code: InvalidRequest, Text: "the batch has more than 64 messages"}
		}
		start := c.at
		c.value(1)
		out = append(out, c.src[start:c.at])
		c.blank()
		if c.at < len(c.src) && c.src[c.at] == ',' {
			c.at++
		}
	}
	if len(out) == 0 {
		return nil, &Error{Code: InvalidRequest, Text: "the batch is empty"}
	}
	return out, nil
}
