package rest

// health is what needs no credential (CONTRACT §5.16).
type health struct {
	Status  string `json:"status" jsonschema:"enum=ok"`
	Version string `json:"version"`
	Service string `json:"service"`
}

func (h *Handler) health(*call, *none) (health, error) {
	return health{Status: "ok", Version: h.version, Service: "coatcheck"}, nil
}
