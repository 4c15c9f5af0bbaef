package control

// What the tests outside of the package need of its inside.
var (
	DecodeRequest = decodeRequest
	EncodeRequest = encodeRequest
	DecodeAnswer  = decodeAnswer
)

// MaxAnswer is how many bytes of connections an answer to another bridge may have.
const MaxAnswer = maxAnswer
