package clients_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
)

// model stands in for a provider of language models: it speaks as much of
// OpenAI's Chat Completions and Responses interfaces as the frameworks use. It
// asks for a handle, then for a request with it, and then tells the answer. What
// it is sent is all that a model would see.
type model struct {
	*httptest.Server
	url string // where the request with the handle goes

	mu   sync.Mutex
	seen []json.RawMessage
}

func newModel(t *testing.T, url string) *model {
	t.Helper()
	m := &model{url: url}
	m.Server = httptest.NewServer(http.HandlerFunc(m.answer))
	t.Cleanup(m.Close)
	return m
}

func (m *model) transcript() (all []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range m.seen {
		all = append(all, text...)
	}
	return all
}

var handleAnywhere = regexp.MustCompile(`ash_[0-9A-Za-z]{28}`)

// next is what the model does after steps results of tools, with all that it
// was sent.
func (m *model) next(steps int, sent []byte) (tool, arguments, text string) {
	switch steps {
	case 0:
		return "get_secret", fmt.Sprintf(`{"path":%q}`, secretPath), ""
	case 1:
		return "http_request", fmt.Sprintf(`{"url":%q,"headers":{"Authorization":"Bearer %s"}}`, m.url, handleAnywhere.Find(sent)), ""
	default:
		return "", "", "the API answered"
	}
}

func (m *model) answer(w http.ResponseWriter, r *http.Request) {
	var sent json.RawMessage
	var conversation struct {
		Messages []struct{ Role string } // Chat Completions
		Input    []struct{ Type string } // Responses
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || json.Unmarshal(sent, &conversation) != nil {
		http.Error(w, "not a request", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.seen = append(m.seen, sent)
	m.mu.Unlock()

	steps := 0
	for _, message := range conversation.Messages {
		if message.Role == "tool" {
			steps++
		}
	}
	for _, item := range conversation.Input {
		if item.Type == "function_call_output" {
			steps++
		}
	}
	tool, arguments, text := m.next(steps, sent)
	var answer any
	switch r.URL.Path {
	case "/chat/completions":
		answer = completion(steps, tool, arguments, text)
	case "/responses":
		answer = response(steps, tool, arguments, text)
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

type object map[string]any

func completion(step int, tool, arguments, text string) object {
	message, reason := object{"role": "assistant", "content": text}, "stop"
	if tool != "" {
		message["tool_calls"] = []object{{
			"id": fmt.Sprintf("call_%d", step), "type": "function", "function": object{"name": tool, "arguments": arguments},
		}}
		reason = "tool_calls"
	}
	return object{
		"id": fmt.Sprintf("chatcmpl_%d", step), "object": "chat.completion", "created": 1, "model": "gpt-5",
		"choices": []object{{"index": 0, "message": message, "finish_reason": reason}},
		"usage":   object{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
	}
}

func response(step int, tool, arguments, text string) object {
	item := object{
		"type": "message", "id": fmt.Sprintf("msg_%d", step), "role": "assistant", "status": "completed",
		"content": []object{{"type": "output_text", "text": text, "annotations": []object{}}},
	}
	if tool != "" {
		item = object{
			"type": "function_call", "id": fmt.Sprintf("fc_%d", step), "call_id": fmt.Sprintf("call_%d", step), "status": "completed",
			"name": tool, "arguments": arguments,
		}
	}
	return object{
		"id": fmt.Sprintf("resp_%d", step), "object": "response", "created_at": 1, "model": "gpt-5", "status": "completed",
		"output": []object{item}, "parallel_tool_calls": false, "tool_choice": "auto", "tools": []object{},
		"usage": object{
			"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
			"input_tokens_details": object{"cached_tokens": 0}, "output_tokens_details": object{"reasoning_tokens": 0},
		},
	}
}
