package tools

import "reflect"

// SchemaTypes lists the argument and result type of each tool.
var SchemaTypes = map[string][2]any{
	"delete_secret":  {deleteSecretIn{}, deleteSecretOut{}},
	"explain_access": {explainAccessIn{}, explainAccessOut{}},
	"get_secret":     {getSecretIn{}, getSecretOut{}},
	"http_request":   {httpRequestIn{}, httpRequestOut{}},
	"list_secrets":   {listSecretsIn{}, listSecretsOut{}},
	"check_approval": {checkApprovalIn{}, checkApprovalOut{}},
	"request_token":  {requestTokenIn{}, requestTokenOut{}},
	"rotate_secret":  {rotateSecretIn{}, rotateSecretOut{}},
	"set_secret":     {setSecretIn{}, setSecretOut{}},
}

// The argument types that are not what they look like in JSON.
var (
	FieldsType = reflect.TypeFor[fields]()
	ObjectType = reflect.TypeFor[object]()
)

// Nearest is nearest.
var Nearest = nearest
