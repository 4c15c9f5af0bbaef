package envelope

import (
	"errors"
	"strconv"
	"strings"
)

// The kinds of Error, to be told apart with errors.Is.
var (
	// ErrNoPayload: the notification has no type set.
	ErrNoPayload = errors.New("no notification type is set")
	// ErrUnknown: a type, field, key or enum value that the contract does not have.
	ErrUnknown = errors.New("unknown to the contract")
	// ErrInvalid: a value that the wire rules refuse, or JSON that is not an envelope.
	ErrInvalid = errors.New("invalid value")
)

// Error says why a notification or an envelope was refused, and for which field.
type Error struct {
	// Kind is ErrNoPayload, ErrUnknown or ErrInvalid.
	Kind error
	// Field is the path of the offending field, such as login_status.current_upgrade or
	// evm_address_migration.addresses[1].address. In a notification the names are those of the proto, in an
	// envelope the keys of the JSON. It is empty when no single field is to blame.
	Field string
	// Problem is a sentence without the path, such as "is required".
	Problem string
}

// Error returns the path and the problem.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return e.Field + ": " + e.Problem
}

// Unwrap returns the Kind.
func (e *Error) Unwrap() error { return e.Kind }

func invalid(problem string) *Error { return &Error{Kind: ErrInvalid, Problem: problem} }

func unknown(problem string) *Error { return &Error{Kind: ErrUnknown, Problem: problem} }

// in puts a field's name in front of the path. Paths grow from the inside out, so that success costs nothing.
func (e *Error) in(name string) *Error {
	if e.Field != "" && !strings.HasPrefix(e.Field, "[") {
		name += "."
	}
	e.Field = name + e.Field
	return e
}

// at puts a list index in front of the path.
func (e *Error) at(index int) *Error {
	return e.in("[" + strconv.Itoa(index) + "]")
}
