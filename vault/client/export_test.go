package client

import "net/http"

// ExportHTTP returns what makes the requests.
func ExportHTTP(c *Client) *http.Client { return c.http }
