package policy

// Fresh returns the same policy with nothing compiled.
func (p *Policy) Fresh() *Policy { return &Policy{rules: p.rules, ranked: p.ranked} }

// Views counts what is compiled: by who asks, and by the rules in it.
func (p *Policy) Views() (keys, shared int) {
	p.views.mu.RLock()
	defer p.views.mu.RUnlock()
	return len(p.views.byKey), len(p.views.byRules)
}

// Grammar returns the fields of each mapping of a policy file.
func Grammar() map[string][]string { return grammar }
