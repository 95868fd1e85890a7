package rest

// deleteQuery says how.
type deleteQuery struct {
	Permanent bool `json:"permanent,omitzero" jsonschema_description:"true: for good, in the trash too. Else it can be restored for 30 days."`
}

func (d *deleteQuery) read(q *query) { d.Permanent = q.truth("permanent", false) }

func (h *Handler) deleteSecret(c *call, in *deleteQuery) (none, error) {
	_, err := h.desk.Delete(c.ctx, c.who, c.path, in.Permanent)
	return none{}, err
}

// restoreSecret brings the newest of that path back from the trash.
func (h *Handler) restoreSecret(c *call, _ *none) (secretMetadata, error) {
	meta, err := h.desk.Restore(c.ctx, c.who, c.path)
	if err != nil {
		return secretMetadata{}, err
	}
	return about(meta)
}
