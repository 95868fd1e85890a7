package catalogue

// Parsed is the catalogue of a text in the form of providers.json.
func Parsed(text string) (*Catalogue, error) {
	providers, err := parse(text)
	return &Catalogue{func() []Provider { return providers }}, err
}
