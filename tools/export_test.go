package tools

import "reflect"

// SchemaTypes lists the argument and result type of each tool.
var SchemaTypes = map[string][2]any{
	"delete_secret":  {deleteSecretIn{}, deleteSecretOut{}},
	"explain_access": {explainAccessIn{}, explainAccessOut{}},
	"get_secret":     {getSecretIn{}, getSecretOut{}},
	"http_request":   {httpRequestIn{}, httpRequestOut{}},
	"list_secrets":   {listSecretsIn{}, listSecretsOut{}},
	"rotate_secret":  {rotateSecretIn{}, rotateSecretOut{}},
	"set_secret":     {setSecretIn{}, setSecretOut{}},
}

// FieldsType is the one argument type that is not what it looks like in JSON.
var FieldsType = reflect.TypeFor[fields]()

// Nearest is nearest.
var Nearest = nearest
