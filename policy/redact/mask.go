package redact

import "bytes"

// withheld stands for a text that could not be scrubbed.
const withheld = "[withheld]"

// mask returns what stands in place of a value: "[secret PATH]", or something
// plainer when that would show a value, by itself or together with the text
// beside it.
func (s *set) mask(item int) string {
	s.maskMu.Lock()
	defer s.maskMu.Unlock()
	text, known := s.masks[item]
	if !known {
		text = s.chooseMask("[secret "+string(s.items[item].name)+"]", "[secret]", "<secret>", "(secret)", "{secret}", "*secret*")
		s.masks[item] = text
	}
	return text
}

func (s *set) chooseMask(candidates ...string) string {
	for _, m := range candidates {
		if !s.touches([]byte(m)) && len(newSearch().find(s, []byte(m))) == 0 {
			return m
		}
	}
	panic("redact: every mask shows a value")
}

// touches reports whether a value has the mask in it, or begins with the end of
// it or ends with its beginning.
func (s *set) touches(mask []byte) bool {
	for _, p := range s.patterns {
		if p.text == nil {
			continue
		}
		if bytes.Contains(p.text, mask) {
			return true
		}
		for n := 1; n <= min(len(mask), len(p.text)); n++ {
			if bytes.HasSuffix(mask, p.text[:n]) || bytes.HasPrefix(mask, p.text[len(p.text)-n:]) {
				return true
			}
		}
	}
	return false
}
