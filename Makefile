# Vanguard: builds into build/ (build/sanitize/ with SANITIZE=1, build/tsan/ with TSAN=1,
# build/debug/ with DEBUG=1).
# `make help` lists what one can ask for.

V        ?= 0
SANITIZE ?= 0
TSAN     ?= 0
DEBUG    ?= 0
PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
UNITDIR  ?= $(LIBDIR)/systemd/system
DOCDIR   ?= $(PREFIX)/share/doc/vanguard
DESTDIR  ?=
ifeq ($(origin CC),default)
CC := gcc
endif

BUILD := build
ifeq ($(SANITIZE),1)
BUILD := build/sanitize
else ifeq ($(TSAN),1)
BUILD := build/tsan
else ifeq ($(DEBUG),1)
BUILD := build/debug
endif

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

PACKAGES := $(shell sed 's/\#.*//' .ci/packages)
BENCH_PACKAGES := $(shell sed 's/\#.*//' .ci/packages-bench)
PKGS     := lua5.4 libpcap libmnl jansson hiredis ncursesw libbpf
PKG_CONFIG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_CONFIG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wno-missing-field-initializers -Wno-unused-parameter \
          -Wno-unknown-warning-option -Wno-format-truncation
CFLAGS ?= -O3 -g
ALL_CFLAGS = -std=gnu17 $(WARN) -I. -Ibuild/gen -pthread -D_GNU_SOURCE -ftls-model=initial-exec \
             $(PKG_CONFIG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread -rdynamic $(LDFLAGS)
LIBS = $(PKG_CONFIG_LIBS) -lm -ldl

ifeq ($(SANITIZE),1)
CFLAGS      := -O1 -g -fno-omit-frame-pointer
# gcc's null check of a thread-local reads flags that ld's relaxation of the initial-exec model
# does not set: hence the other model.
ALL_CFLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined -DPACKET_DEBUG \
               -fPIC -ftls-model=global-dynamic
ALL_LDFLAGS += -fsanitize=address,undefined
endif
ifeq ($(TSAN),1)
CFLAGS      := -O1 -g -fno-omit-frame-pointer
# gcc warns that the fences of engine/counters.c, which are for other processes, are not looked at.
ALL_CFLAGS  += -fsanitize=thread -Wno-tsan -DPACKET_DEBUG -fPIC -ftls-model=global-dynamic
ALL_LDFLAGS += -fsanitize=thread
endif
ifeq ($(DEBUG),1)
CFLAGS     := -Og -g3
ALL_CFLAGS += -DPACKET_DEBUG
endif

ifeq ($(V),0)
Q   := @
say  = @printf '  %-8s %s\n' '$(1)' '$(2)';
else
Q   :=
say  =
endif

# --- what there is -----------------------------------------------------------------

BPF_SRC   := $(sort $(wildcard lib/*.bpf.c apps/*/*.bpf.c selftest/bench/*.bpf.c))
CORE_SRC  := $(filter-out $(BPF_SRC),$(sort $(wildcard lib/*.c engine/*.c apps/*.c apps/*/*.c config/*.c)))
MAIN_SRC  := programs/main.c
TEST_SRC  := $(sort $(wildcard selftest/*.c))
BENCH_SRC := $(filter-out $(BPF_SRC),$(sort $(wildcard selftest/bench/*.c)))
FUZZ_SRC  := $(sort $(wildcard selftest/fuzz/*.c))
LUA_SRC   := $(sort $(wildcard config/*.lua config/*/*.lua programs/*.lua))
SHELL_SRC := $(sort vethtest.sh .ci/run $(wildcard selftest/*.sh selftest/*/*.sh))
# What runs on several threads is all that ThreadSanitizer is asked about.
TSAN_SUITES := interlink cores pinning config_cores engine_fd hosted
ifeq ($(TSAN),1)
TEST_SRC  := $(filter-out selftest/test_%,$(TEST_SRC)) $(TSAN_SUITES:%=selftest/test_%.c)
endif
HEADERS   := $(sort $(wildcard packaging/*.h lib/*.h engine/*.h apps/*.h apps/*/*.h config/*.h selftest/*.h selftest/bench/*.h))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
CORE_OBJ := $(call obj,$(CORE_SRC)) $(BUILD)/obj/embedded.o
ifeq ($(SANITIZE),1)
PIC_OBJ  := $(CORE_OBJ) # which are built as those of the shared library
else
PIC_OBJ  := $(CORE_OBJ:$(BUILD)/obj/%=$(BUILD)/pic/%)
endif
LIBRARY  := $(BUILD)/libvanguard.a $(BUILD)/libvanguard.so.0
BENCH    := $(patsubst selftest/bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))
FUZZ     := $(patsubst selftest/fuzz/%.c,build/fuzz/%,$(FUZZ_SRC))
SKELETON := $(patsubst %.bpf.c,build/gen/%.skel.h,$(notdir $(BPF_SRC)))

# --- verbs -------------------------------------------------------------------------

.PHONY: help deps all lib demo check check-nightly tsan bench fuzz lint layers formatted shell format install uninstall clean

help: ## list these verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14
	@printf '\n  V=1 shows commands, SANITIZE=1 builds with ASan and UBSan, TSAN=1 with TSan, DEBUG=1 without optimisation, CC=clang.\n'

.DEFAULT_GOAL := all

deps: ## install the Debian packages that are missing (needs root)
	@.ci/deps $(PACKAGES)

# The verbs that must work on a fresh machine install first, then start over,
# so that what was just installed is seen by the rules above.
demo: deps ## two namespaces with a lossy, slow network between them: ping and iperf3, live
	$(Q)$(MAKE) --no-print-directory all
	$(Q)./vethtest.sh demo

check: deps ## build everything and run all tests
	$(Q)$(MAKE) --no-print-directory all lib $(BUILD)/selftest $(if $(filter build,$(BUILD)),fuzz)
	$(Q)BUILD=$(BUILD) selftest/run.sh

NIGHTLY := bottleneck clumsy clumsy_answers clumsy_damage clumsy_gate clumsy_law clumsy_link clumsy_stages clumsy_trace cross_traffic distribution \
           event frame impair jitter loss loss_models nat nat_mappings pattern sentinel_benign

check-nightly: ## the statistical suites and twenty networks (S1 to S20), with a seed of their own (again: SELFTEST_SEED=n make check-nightly), a minute of each fuzzer
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/selftest $(BUILD)/bench/datagrams fuzz
	$(Q)for fuzzer in $(FUZZ); do $$fuzzer -max_total_time=$${FUZZ_SECONDS:-60} -verbosity=0 || exit; done
	$(Q)seed=$${SELFTEST_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; export SELFTEST_SEED=$$seed; \
	    echo "SELFTEST_SEED=$$seed"; SENTINEL_SECONDS=3600 $(BUILD)/selftest $(NIGHTLY) && \
	    { SENTINEL_SOAK=600 selftest/sentinel.sh soak || [ $$? -eq 43 ]; } && selftest/synthetic.sh

tsan: ## what runs on several threads, under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory TSAN=1 build/tsan/selftest
	$(Q)build/tsan/selftest

all: $(BUILD)/vanguard ## build vanguard

lib: $(LIBRARY) ## build libvanguard, for programs that hold an engine (doc/embedding.md)

bench: all $(BENCH) ## measure speed beside others: tables on stdout, build/bench.json
	$(Q).ci/deps $(BENCH_PACKAGES)
	$(Q)BUILD=$(BUILD) selftest/bench/run.sh

fuzz: $(FUZZ) ## build the fuzzers (run: build/fuzz/NAME -max_total_time=60)

lint: layers formatted shell ## clang-format, shellcheck, and the layering rule
	@echo "lint: clean"

formatted:
	$(Q)clang-format --dry-run --Werror $(CORE_SRC) $(BPF_SRC) $(MAIN_SRC) $(TEST_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(HEADERS)

shell:
	$(Q)shellcheck -x $(SHELL_SRC) .ci/deps

layers: ## fail when an include points up
	$(Q)selftest/layers.sh

format: ## let clang-format rewrite the tree
	$(Q)clang-format -i $(CORE_SRC) $(BPF_SRC) $(MAIN_SRC) $(TEST_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(HEADERS)

install: all lib ## copy vanguard, libvanguard, its headers, documents and units to $(PREFIX)
	install -D -m 755 $(BUILD)/vanguard $(DESTDIR)$(PREFIX)/bin/vanguard
	install -D -m 644 $(BUILD)/libvanguard.a $(DESTDIR)$(LIBDIR)/libvanguard.a
	install -D -m 644 $(BUILD)/libvanguard.so.0 $(DESTDIR)$(LIBDIR)/libvanguard.so.0
	ln -sf libvanguard.so.0 $(DESTDIR)$(LIBDIR)/libvanguard.so
	for header in $$($(CC) -I. -MM packaging/vanguard.h | sed 's/^.*://; s/\\$$//'); do \
	    install -D -m 644 $$header $(DESTDIR)$(PREFIX)/include/vanguard/$${header#packaging/} || exit; \
	done
	mkdir -p $(DESTDIR)$(LIBDIR)/pkgconfig
	printf '%s\n' $(PC_FILE) >$(DESTDIR)$(LIBDIR)/pkgconfig/vanguard.pc
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) README.md doc/*.md
	mkdir -p $(DESTDIR)$(UNITDIR)
	for unit in packaging/systemd/*; do \
	    sed 's,/usr/local/bin,$(PREFIX)/bin,; s,/usr/local/share/doc/vanguard,$(DOCDIR),' $$unit \
	        >$(DESTDIR)$(UNITDIR)/$${unit##*/} || exit; \
	done

uninstall: ## remove what install copied
	rm -f $(DESTDIR)$(PREFIX)/bin/vanguard $(addprefix $(DESTDIR)$(LIBDIR)/,\
	    libvanguard.a libvanguard.so.0 libvanguard.so pkgconfig/vanguard.pc)
	rm -rf $(DESTDIR)$(PREFIX)/include/vanguard $(DESTDIR)$(DOCDIR)
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(wildcard packaging/systemd/*)))

clean: ## remove build/
	rm -rf build

# --- how it is made ----------------------------------------------------------------

$(BUILD)/vanguard: $(call obj,$(MAIN_SRC)) $(CORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/selftest: $(call obj,$(TEST_SRC)) $(CORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(shell pkg-config --libs check 2>/dev/null)

# --- libvanguard. The static library has the program's objects. Those of the shared one hide what
# packaging/vanguard.h does not declare; their thread-local data may come late, by dlopen(3).

PIC_FLAGS = -fPIC -ftls-model=global-dynamic -fvisibility=hidden -include packaging/vanguard.h

ifeq ($(SANITIZE),1)
$(CORE_OBJ): ALL_CFLAGS += $(PIC_FLAGS)
endif

# The lines of vanguard.pc. --static is for those who have but the static library; with both,
# `static` is what to link to instead of --libs.
PC_FILE = 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(PREFIX)/include' \
          'static=$(LIBDIR)/libvanguard.a $(LIBS) -pthread' '' \
          'Name: vanguard' 'Description: packets through graphs of small apps' \
          'Version: $(VERSION)' \
          'Cflags: -I$${includedir}/vanguard -pthread' \
          'Libs: -L$${libdir} -lvanguard -pthread' 'Libs.private: $(LIBS)'

$(BUILD)/libvanguard.a: $(CORE_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/libvanguard.so.0: $(PIC_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libvanguard.so.0 -Wl,-Bsymbolic-functions \
	    $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/pic/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(PIC_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pic/embedded.o: $(BUILD)/embedded.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(PIC_FLAGS) -c -o $@ $<

# --- the rest

$(BUILD)/bench/%: selftest/bench/%.c $(CORE_OBJ)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(CORE_OBJ) $(LIBS)

# Fuzzers are libFuzzer programs: clang compiles everything under them once more, with its own
# sanitizers, whatever the rest is built with.
FUZZ_FLAGS = -std=gnu17 $(WARN) -I. -Ibuild/gen -pthread -D_GNU_SOURCE -DPACKET_DEBUG $(PKG_CONFIG_CFLAGS) \
             -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FUZZ_OBJ  := $(patsubst %.c,build/fuzz/obj/%.o,$(CORE_SRC)) build/fuzz/obj/embedded.o

.SECONDARY: $(FUZZ_OBJ)

build/fuzz/obj/embedded.o: $(BUILD)/embedded.c
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -c -o $@ $<

build/fuzz/obj/%.o: %.c
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

build/fuzz/%: selftest/fuzz/%.c $(FUZZ_OBJ)
	$(call say,FUZZ,$@)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer -rdynamic -MMD -MP -o $@ $< $(FUZZ_OBJ) $(LIBS)

$(BUILD)/obj/programs/main.o: ALL_CFLAGS += -DVANGUARD_VERSION='"$(VERSION)"'

# Programs for the kernel are the same in every build. What follows a skeleton's name here is what
# must wait for it: everything, as far as make knows.
BPF_INCLUDE = -I. -I/usr/include/$(shell gcc -print-multiarch 2>/dev/null)

vpath %.bpf.c $(sort $(dir $(BPF_SRC)))

build/gen/%.bpf.o: %.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)clang -target bpf -ffreestanding -mcpu=v3 -O2 -g -Wall -Wextra -Werror $(BPF_INCLUDE) -MMD -MP -c -o $@ $<

build/gen/%.skel.h: build/gen/%.bpf.o
	$(Q)/usr/sbin/bpftool gen skeleton $< name $*_bpf >$@.new && mv $@.new $@

$(CORE_OBJ) $(PIC_OBJ) $(FUZZ_OBJ) $(call obj,$(TEST_SRC)): | $(SKELETON)

$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# No test depends on how fast it is, and they are half of what is compiled.
ifneq ($(DEBUG),1)
$(call obj,$(TEST_SRC)): CFLAGS += -O1
endif

$(BUILD)/obj/embedded.o: $(BUILD)/embedded.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Lua files travel inside the binary.
$(BUILD)/embedded.c: config/embed.sh $(LUA_SRC)
	$(call say,EMBED,$@)
	@mkdir -p $(@D)
	$(Q)config/embed.sh $(LUA_SRC) >$@.new && mv $@.new $@

-include $(shell find $(BUILD) build/fuzz build/gen -name '*.d' 2>/dev/null)
