# make build   one static binary: ./coatcheck
# make test    every check; sets up what it needs by itself
# make lint    the linter and the formatters
# make bench   speed and memory beside a bare MCP server, against the budgets
# make sources the key sources over a real keyring and a real transit engine
# make soak    fuzz every target and repeat the suite under the race detector
#
# The product needs Go alone. The checks also need a C compiler (race detector), curl (the README) and Node 22.19 or newer (real clients):
# .tools/need installs or explains what is missing. Developer tools are pinned in .tools/go.mod.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

say = @printf '\n== %s\n'

# The version comes from the commit, through the build information that Go writes. Outside a clone there is none to read.
buildvcs := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)

js       := transport/mcp/clients/testdata/js
published := transport/rest/clients/testdata/js
frameworks := examples/frameworks
suite    := transport/mcp/conformance/testdata/js
# Programs that only tests start. They live under testdata, where ./... does not look.
testprogs := ./transport/mcp/bench/testdata/bare ./transport/cli/testdata/relay
# The same with a build tag: it keeps their way into a package out of every other build.
tagged    := -tags conformance ./transport/mcp ./transport/mcp/conformance/testdata/fixture
lintmod  := github.com/golangci/golangci-lint/v2
linter   := .cache/golangci-lint-$(shell awk '$$1 == "$(lintmod)" { print $$2 }' .tools/go.mod)-$(shell go env GOVERSION)
cross    := darwin/arm64 windows/amd64

# The transit engine that the tests of key sources use; its module pins it.
enginemod := vault/embedded/testdata/transit
engine    := .cache/transit-$(shell awk '$$1 == "github.com/hashicorp/vault" { print $$2 }' $(enginemod)/go.mod)-$(shell go env GOVERSION)

# Forty programs are linked for the tests, and each a third faster without what debuggers read.
quick    := -ldflags=-w

FUZZTIME   ?= 30s
SOAKCOUNT  ?= 20
BENCHFLAGS ?=

.PHONY: build test lint bench sources soak fuzz vet cross tidy plain cover race clients clean

build:
	$(say) 'build ./coatcheck'
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(buildvcs) -ldflags='-s -w' -o coatcheck .

test: tidy vet lint cross clients plain cover race
	$(say) 'every check passed'

tidy:
	$(say) 'tidy: go.mod and go.sum say what is imported, and the modules are what go.sum says'
	go mod tidy -diff
	go mod verify

vet:
	$(say) 'vet'
	go vet ./... $(testprogs)
	go vet $(tagged)

# Vet type-checks the tests too, which a cross-build would not.
cross:
	$(say) 'cross: build and vet for $(cross)'
	@for target in $(cross); do \
		echo "$$target"; \
		export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0; \
		go build -o /dev/null . && go vet ./...; \
	done

lint: $(linter)
	$(say) 'lint'
	$(linter) run --allow-parallel-runners --timeout 20m ./... $(testprogs) ./transport/mcp/conformance/testdata/fixture

$(linter): .tools/go.mod .tools/go.sum
	$(say) 'build the linter once (some minutes)'
	@mkdir -p .cache
	cd .tools && CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -o ../$@ $(lintmod)/cmd/golangci-lint
	@touch $@

# Tests build the command as it is released. Here once: else it is done while others wait for a processor.
plain:
	$(say) 'plain suite'
	@.tools/need curl
	CGO_ENABLED=0 go build -trimpath -o /dev/null .
	CGO_ENABLED=0 go test $(quick) -count=1 -timeout 10m ./...

# What masks values and what decides where a request goes have no statement that their own tests do not run.
cover:
	$(say) 'coverage of policy/redact: all of it'
	@mkdir -p .cache
	CGO_ENABLED=0 go test -count=1 -coverprofile=.cache/redact.cover ./policy/redact
	@go tool cover -func=.cache/redact.cover | awk '$$NF != "100.0%" { print; missed = 1 } END { exit missed || NR == 0 }'
	$(say) 'coverage of the URL canonicaliser by its tables: all of it'
	CGO_ENABLED=0 go test -count=1 -run '^(TestCanonicalURL|TestRefusedURL|TestRefusedCalls)$$' -coverprofile=.cache/redeem.cover ./policy/redeem
	@go tool cover -func=.cache/redeem.cover | awk '/\/redeem\/url\.go:/ { n++; if ($$NF != "100.0%") { print; missed = 1 } } END { exit missed || n < 10 }'

race:
	$(say) 'race detector'
	@.tools/need cc
	CGO_ENABLED=1 go test $(quick) -race -count=1 -timeout 20m ./...

clients: $(js)/node_modules/.package-lock.json $(published)/node_modules/.package-lock.json $(frameworks)/node_modules/.package-lock.json $(suite)/node_modules/.package-lock.json

# No install script of any package runs: Node itself comes as a locked package that is nothing but its binary.
$(js)/node_modules/.package-lock.json: $(js)/package.json $(js)/package-lock.json
	$(say) 'install the JavaScript clients'
	@.tools/need npm
	cd $(js) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@.tools/need node $(js)
	@touch $@

$(published)/node_modules/.package-lock.json: $(published)/package.json $(published)/package-lock.json
	$(say) 'install the published clients of the Agent Secret Store'
	@.tools/need npm
	cd $(published) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(frameworks)/node_modules/.package-lock.json: $(frameworks)/package.json $(frameworks)/package-lock.json
	$(say) 'install the agent frameworks of the examples'
	@.tools/need npm
	cd $(frameworks) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(suite)/node_modules/.package-lock.json: $(suite)/package.json $(suite)/package-lock.json
	$(say) 'install the conformance suite'
	@.tools/need npm
	cd $(suite) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

bench:
	$(say) 'bench: coatcheck beside a bare MCP server, both in one run'
	CGO_ENABLED=0 go test -run '^$$' -bench '^BenchmarkBudgets$$' -benchtime 1x -timeout 30m ./transport/mcp/bench $(BENCHFLAGS)
	$(say) 'bench: redaction beside two other searches, all in one run'
	CGO_ENABLED=0 go test -run '^$$' -bench '^BenchmarkBudgets$$' -benchtime 1x -timeout 30m ./policy/redact $(filter -budgets.enforce%,$(BENCHFLAGS))

fuzz:
	$(say) 'fuzz: every target for $(FUZZTIME)'
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg"; \
		done; \
	done

sources: $(engine)
	$(say) "sources: the keyring of GNOME, and the transit engine of HashiCorp Vault"
	@.tools/need keyring
	go test -count=1 ./vault/embedded -run '^TestTransit$$' -transit=$(CURDIR)/$(engine)
	go test -c -o .cache/embedded.test ./vault/embedded
	@session=$$(mktemp -d); trap 'rm -rf "$$session"' EXIT; \
		XDG_RUNTIME_DIR=$$session XDG_DATA_HOME=$$session dbus-run-session -- sh -c \
		'printf %s "of a test" | gnome-keyring-daemon --unlock --components=secrets >/dev/null && .cache/embedded.test -test.v -test.run "^TestKeyringSourceSystem$$" -keyring'

$(engine): $(enginemod)/go.mod $(enginemod)/go.sum $(enginemod)/main.go
	$(say) 'build the transit engine once (some minutes)'
	@mkdir -p .cache
	cd $(enginemod) && CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -o $(CURDIR)/$@ .
	@touch $@

soak: fuzz clients sources
	$(say) 'soak: the suite $(SOAKCOUNT) times, shuffled, under the race detector'
	@.tools/need cc
	CGO_ENABLED=1 go test -race -shuffle=on -count=$(SOAKCOUNT) -failfast -timeout 170m ./...
	$(say) 'soak: the disk failed at every call in four ways, 8 processes writing for long, bulk work'
	CGO_ENABLED=0 go test -count=1 -timeout 60m ./vault/sqldb -io.all -io.rounds=5 -writes=5000 -bulk=500000
	$(say) 'soak: 1,000 programs killed under load, every byte of a vault damaged'
	CGO_ENABLED=0 go test -count=1 -timeout 170m ./transport/cli/faults -faults.kills=1000 -faults.every
	$(say) 'soak: 1,000 rekeys killed, and one of 100,000 secrets'
	CGO_ENABLED=0 go test -count=1 -timeout 170m ./transport/cli -run '^TestRekeyKilledAtRandom$$' -rekey.kills=1000
	CGO_ENABLED=0 go test -count=1 -timeout 170m ./transport/cli -run '^TestRekeyKilledAtRandom$$' -rekey.kills=20 -rekey.secrets=100000
	$(say) 'soak: scripts whose every command is a process'
	CGO_ENABLED=0 go test -count=1 -timeout 30m ./transport/cli -run '^TestScript$$' -script.processes
	$(say) 'soak: the whole leak corpus through the doors'
	CGO_ENABLED=0 go test -count=1 -timeout 170m -run '^TestLeakCorpus$$' ./transport/cli -leaks.all
	$(say) 'soak: 1,000,000 guesses at handles'
	CGO_ENABLED=0 go test -count=1 -timeout 60m -run '^TestGuessing$$' ./policy/handle -handle.guesses=1000000
	$(say) 'soak: 2,000 idle and 10,000 abandoned SSE clients, 100,000 answers of two'
	CGO_ENABLED=0 go test -count=1 -timeout 30m -run '^TestSSE(IdleMemory|Abandoned|Crossing)$$' ./transport/mcp -sse.idle=2000 -sse.abandoned=10000 -sse.answers=100000
	$(say) 'soak: the whole leak corpus, 1 GiB of clean text'
	CGO_ENABLED=0 go test -count=1 -timeout 170m ./policy/redact -run '^Test(Corpus|CleanText)$$' -corpus.all -clean.mib=1024
	$(say) 'soak: malformed messages and equal ids at the HTTP door'
	CGO_ENABLED=0 go test -count=1 -timeout 30m -run '^TestHTTP(Malformed|EqualIDs)$$' ./transport/mcp -faults.messages=10000 -faults.calls=100000

clean:
	rm -rf coatcheck coatcheck.exe .cache $(js)/node_modules $(published)/node_modules $(frameworks)/node_modules $(suite)/node_modules
