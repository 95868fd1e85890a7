package condition

import (
	"net/netip"
	"reflect"
	"time"
	_ "time/tzdata" // time zones where the machine has none: a container, Windows

	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// calendar are the functions of a timestamp that take a time zone. They are
// CEL's, but for where the zone comes from.
var calendar = []struct {
	name string
	of   func(time.Time) int
}{
	{"getFullYear", time.Time.Year},
	{"getMonth", func(t time.Time) int { return int(t.Month()) - 1 }},
	{"getDate", time.Time.Day},
	{"getDayOfMonth", func(t time.Time) int { return t.Day() - 1 }},
	{"getDayOfYear", func(t time.Time) int { return t.YearDay() - 1 }},
	{"getDayOfWeek", func(t time.Time) int { return int(t.Weekday()) }},
	{"getHours", time.Time.Hour},
	{"getMinutes", time.Time.Minute},
	{"getSeconds", time.Time.Second},
	{"getMilliseconds", func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) }},
}

// functions returns the declarations of this package's own functions.
func (c *Compiler) functions() ([]*decls.FunctionDecl, error) {
	var all []*decls.FunctionDecl
	add := func(name string, overloads ...decls.FunctionOpt) error {
		f, err := decls.NewFunction(name, overloads...)
		all = append(all, f)
		return err
	}
	for _, get := range calendar {
		if err := add(get.name,
			decls.MemberOverload(get.name+"_utc", []*types.Type{types.TimestampType}, types.IntType,
				decls.UnaryBinding(func(t ref.Val) ref.Val {
					return part(t, time.UTC, get.of)
				})),
			decls.MemberOverload(get.name+"_zone", []*types.Type{types.TimestampType, types.StringType}, types.IntType,
				decls.BinaryBinding(func(t, zone ref.Val) ref.Val {
					name, _ := zone.(types.String)
					return part(t, c.zones[string(name)], get.of)
				})),
		); err != nil {
			return nil, err
		}
	}
	if err := add("cidr", decls.Overload("cidr_string", []*types.Type{types.StringType}, networkType,
		decls.UnaryBinding(func(text ref.Val) ref.Val {
			s, _ := text.(types.String)
			prefix, err := netip.ParsePrefix(string(s))
			if err != nil {
				return types.NewErr("not a network")
			}
			return network{prefix}
		}))); err != nil {
		return nil, err
	}
	err := add("containsIP", decls.MemberOverload("cidr_contains_ip", []*types.Type{networkType, types.StringType}, types.BoolType,
		decls.BinaryBinding(func(in, address ref.Val) ref.Val {
			n, _ := in.(network)
			s, _ := address.(types.String)
			return n.contains(string(s))
		})))
	return all, err
}

func part(t ref.Val, zone *time.Location, of func(time.Time) int) ref.Val {
	ts, ok := t.(types.Timestamp)
	if !ok || zone == nil {
		return types.NewErr("no such time zone")
	}
	return types.Int(of(ts.In(zone)))
}

// location returns the time zone named s: UTC, a name of the IANA database, or
// an offset such as +02:00 or -08:00. "Local" is the machine's and no zone here.
func location(s string) (*time.Location, bool) {
	if t, err := time.Parse("-07:00", s); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(s, offset), true
	}
	if s == "" || s == "Local" {
		return nil, false
	}
	l, err := time.LoadLocation(s)
	return l, err == nil
}

// networkType is the type of what cidr returns, named as in CEL's own network
// library.
var networkType = types.NewOpaqueType("net.CIDR")

// network is a value of networkType.
type network struct{ netip.Prefix }

// contains reports whether the network has an address. None is in no network;
// an IPv4 address written as IPv6 is that IPv4 address, and a zone is dropped.
func (n network) contains(address string) ref.Val {
	if address == "" {
		return types.False
	}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return types.NewErr("not an address")
	}
	return types.Bool(n.Contains(addr.Unmap().WithZone("")))
}

// ConvertToNative is not supported: a network stays inside an expression.
func (n network) ConvertToNative(reflect.Type) (any, error) {
	return nil, errNoConversion
}

// ConvertToType returns the network itself.
func (n network) ConvertToType(t ref.Type) ref.Val {
	if t == networkType {
		return n
	}
	return types.NewErr("no such conversion")
}

// Equal compares two networks.
func (n network) Equal(other ref.Val) ref.Val {
	o, ok := other.(network)
	return types.Bool(ok && o.Prefix == n.Prefix)
}

// Type is networkType.
func (n network) Type() ref.Type { return networkType }

// Value is the network.
func (n network) Value() any { return n.Prefix }
