// Package approval keeps what agents asked for and people have to agree to, from
// the request to its one use: quorum, delay, expiry.
//
// The one rule: an approval buys the one thing that was asked for, once, for the
// one who asked; it was given by as many different admins as its terms say, none
// of whom asked.
//
//	approvals := approval.New(rows)
//	r, err := approvals.Spend(tx, who.ID(), digest, now) // in the transaction of what it buys
//	if errors.Is(err, approval.ErrNone) {
//		r, created, err = approvals.Ask(tx, approval.Spec{Digest: digest, Requester: who.ID(), …}, now)
//	}
//	…
//	r, err = approvals.Approve(tx, r.ID, "admin:ada", "for the release", now)
//	expired, err := approvals.Due(tx, now, 100) // now and then; each is told once
//
// # The states
//
//	pending    until the quorum is there, and after that while the delay runs
//	approved   may be used: [Store.Spend], [Store.SpendID]
//	used       was used: the end
//	denied     one admin said no, before or after it was approved: the end
//	cancelled  the requester took it back, or may ask for nothing any more: the end
//	expired    its time was over before it was used: the end once [Store.Due] has told it
//
// There is no way from an end to anything else. [policy.Approval] has the terms,
// which stay as they were when the request was made: a request waits for votes
// for Expires; the last vote of the quorum starts Delay, and after that there is
// Expires once more to use it. Until its time is over the same request is answered
// by the same one, also when that was denied; after that, and after it was used
// or cancelled, it is a new one.
//
// Requests are the same when requester and [Spec.Digest] are. Tokens, whose
// requester may come back with fewer scopes than were approved (CONTRACT R7), are
// found by [Store.Ready] and used by [Store.SpendID].
//
// A request carries all that an approver must see and nothing that does not
// print. It is bounded, and refused rather than cut: nobody agrees to what they
// could not read.
//
// # Time
//
// now comes from the caller (package clock), and with it a clock that is wrong.
// What is promised:
//
//   - The delay ends at one time, which is kept: the latest time the request has
//     seen when its quorum was there, and Delay. A clock that is set back, by as
//     much as five minutes, and forward again shortens it by nothing; one that was
//     ahead and is set right lengthens it.
//   - A request that was made or approved more than five minutes ahead of now is
//     good for nothing until now is there; [Store.CancelAfter] ends it for good. So
//     a clock that was ahead lengthens no life by more than that.
//   - What was told as expired stays so, whatever the clock says later.
//
// A clock that is ahead ends delays early while it is, as it ends everything: it
// looks like a machine that has slept.
//
// # The table
//
// Every row is authenticated (package rowmac), its votes with it: who can write
// the database can neither make, change nor approve a request. He can remove one,
// and put its row back as it was earlier: before it was used or denied, or with
// votes that were withdrawn since. Whoever spends can tell the last of these by
// asking whether the admins in Votes still are.
//
// Choices. The votes stand in the request's row: in a table of their own each
// would need to be bound to its request, and nothing would tell that one is
// missing. Cancelling makes no room among the [MaxPending]: else an agent that
// asks and cancels in turn rings at the approvers as often as it likes. A damaged
// request that could answer a call fails the call ([vault.ErrCorrupt]); denying
// it removes it.
//
// What it does not do: it does not know who may ask or whether an admin still is
// one, what a digest is made of, or whether scopes are covered; it tells nobody and
// records nothing (policy/broker). Where agent and desk run as one user, it keeps
// nobody from writing the database and the key beside it.
package approval

import (
	"errors"
	"time"
)

// Prefix starts every id of a request.
const Prefix = "apr_"

// Limits of requests.
const (
	// MaxPending is how many requests of an agent, with those of its tokens, may
	// wait at once; those it has cancelled count until their time is over.
	MaxPending = 20
	MaxPage    = 200 // requests in one [Page]
	// Keep is how long [Store.Purge] leaves what is settled.
	Keep = 7 * 24 * time.Hour
)

// maxSkew is how far the time of a request or a vote may lie ahead of now.
// Further ahead it was made under a clock that was wrong (package clock), and so
// are the times that follow from it.
const maxSkew = 5 * time.Minute

// The errors of a request. Those but [ErrUnknown], [ErrNone] and [ErrTooMany]
// come with the request, so that its id and times can be told.
var (
	// ErrUnknown: no such request, or not this requester's. List the requests.
	ErrUnknown = errors.New("no such approval request")
	// ErrOwnRequest: the one who asks is not one who agrees or denies, and neither
	// agrees who had in its hands what it is asked with. Ask another admin.
	ErrOwnRequest = errors.New("this is your own request, or one of an agent or token that you made")
	// ErrVoted: this admin has agreed already. Another one is needed.
	ErrVoted = errors.New("you have approved this request already")
	// ErrSettled: the request is not in a state in which that can be done; its
	// Status says which it is in.
	ErrSettled = errors.New("request is settled")
	// ErrNone: no request for this is open. Ask for it.
	ErrNone = errors.New("no approval for this")
	// ErrPending: it waits for votes, or for its delay to end (ReadyAt). Come back later.
	ErrPending = errors.New("approval is pending")
	// ErrDenied: an admin denied it. Ask for something else, or again after ExpiresAt.
	ErrDenied = errors.New("approval was denied")
	// ErrTooMany: [MaxPending] requests wait. Wait until one is decided or has expired.
	ErrTooMany = errors.New("too many requests wait for approval")
)

// Status is where a request is.
type Status string

// The statuses; the package comment has what they mean.
const (
	Pending   Status = "pending"
	Approved  Status = "approved"
	Denied    Status = "denied"
	Cancelled Status = "cancelled"
	Expired   Status = "expired"
	Used      Status = "used"
)

// Statuses lists every status.
func Statuses() []Status { return []Status{Pending, Approved, Denied, Cancelled, Expired, Used} }

// Vote is what one admin said. What a revoked admin agreed to is removed
// ([Store.Withdraw]).
type Vote struct {
	Admin  string    `json:"admin"`
	Deny   bool      `json:"deny,omitempty"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// Request is one request as it stands at the now that was given. Times are UTC
// with microsecond precision; the receiver owns the slices.
type Request struct {
	Seq int64  // its place among all, for [Query]
	ID  string // [Prefix] and ten base62 digits
	Spec

	Status Status
	Votes  []Vote // in the order of their coming

	CreatedAt time.Time
	ExpiresAt time.Time // to get its votes; once the quorum is there, to be used
	DecidedAt time.Time // when the quorum was there, or it was denied or cancelled; zero: it is open
	ReadyAt   time.Time // when its delay ends; zero: the quorum is not there
	UsedAt    time.Time // zero: not used

	Damaged bool // this desk did not write it so; only Seq and ID are given
}

// Agreed is how many admins have agreed.
func (r *Request) Agreed() int {
	n := 0
	for _, v := range r.Votes {
		if !v.Deny {
			n++
		}
	}
	return n
}
