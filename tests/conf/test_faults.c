#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/conf/files.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

/* A file, and its faults without its name: ":1: ..." is line 1 of it. */
static const struct {
	const char *text;
	const char *faults;
} table[] = {
	/* Names. */
	{ "hartbeat = 15s\n",
	    ":1: unknown directive \"hartbeat\": did you mean heartbeat?\n" },
	{ "\n\nheart_beat = { 1, 2 }\nworkers = 3",
	    ":3: unknown directive \"heart_beat\": did you mean heartbeat?\n" },
	{ "poll_wait_max = 5s",
	    ":1: unknown directive \"poll_wait_max\": did you mean "
	    "poll-wait-max?\n" },
	{ "chanel \"x\" { nonsense = 3 more {} }\nworkers = 0x3\n",
	    ":1: unknown directive \"chanel\": did you mean channel?\n"
	    ":2: workers = \"0x3\": write a whole number\n" },
	{ "history = 100\ntls = yes\n",
	    ":1: unknown directive \"history\": did you mean "
	    "history-events?\n"
	    ":2: unknown directive \"tls\": did you mean tls-certificate?\n" },
	{ "includes(\"x\")\n",
	    ":1: unknown directive \"includes\": did you mean include?\n" },
	{ "frobnicate = 1\n",
	    ":1: unknown directive \"frobnicate\": spillway.conf(5) lists "
	    "them all\n" },
	{ "channel \"x\" {\n\thistory = 3\n\tsned = off\n}\n",
	    ":2: unknown directive \"history\": did you mean "
	    "history-events?\n"
	    ":3: unknown directive \"sned\": did you mean send?\n" },
	{ "environment \"app\" {\n url = { \"http://x\" }\n}\nworkers = 999\n",
	    ":1: unknown directive \"environment\": spillway.conf(5) lists "
	    "them "
	    "all\n"
	    ":4: workers = \"999\": write 1 to 256, or 0 (one per core)\n" },
	{ "a|b = 3\n\"workers\" = 3\n",
	    ":1: unknown directive \"a|b\": spillway.conf(5) lists them all\n"
	    ":2: write the name of a directive here\n"
	    ":2: write the name of a directive here\n" },
	/* Signs. */
	{ "workers 3\nheartbeat 15s 16s 17s\n",
	    ":1: write workers = VALUE\n"
	    ":2: write heartbeat = VALUE\n" },
	{ "workers\n", ":1: write workers = VALUE\n" },
	{ "workers =\nheartbeat = 1s",
	    ":1: write a value for workers on this line\n" },
	{ "workers = # 3\n", ":1: write a value for workers on this line\n" },
	{ "workers = 3;\nretry = 10ms;\n;\n",
	    ":1: leave the semicolon out: lines end without one\n"
	    ":2: leave the semicolon out: lines end without one\n"
	    ":2: retry = \"10ms\": write 100ms to 10m\n"
	    ":3: leave the semicolon out: lines end without one\n" },
	{ "= 3\nworkers = 300\n",
	    ":1: write the name of a directive here\n"
	    ":2: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	{ "workers { 3 }\n", ":1: write workers = VALUE\n" },
	{ "workers(3)\n", ":1: write workers = VALUE\n" },
	{ "workers += 3\n", ":1: write workers = VALUE: only lists grow\n" },
	{ "channel = \"x\"\n", ":1: write channel \"PATTERN\" { ... }\n" },
	{ "channel {\n workers = 3\n}\n",
	    ":1: write channel \"PATTERN\" { ... }\n" },
	{ "channel \"x\"\nworkers = 300\n",
	    ":1: write channel \"PATTERN\" { ... }\n"
	    ":2: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	{ "include \"x\"\ninclude = \"x\"\ninclude()\ninclude(\"a\", \"b\")\n"
	  "include(\n",
	    ":1: write include(\"FILE\")\n"
	    ":2: write include(\"FILE\")\n"
	    ":3: write include(\"FILE\")\n"
	    ":4: write include(\"FILE\")\n"
	    ":5: write include(\"FILE\")\n" },
	{ "channel \"x\" {\n\tinclude(\n}\nworkers(}",
	    ":2: write include outside of blocks\n"
	    ":4: write workers = VALUE\n"
	    ":4: leave out this }: it closes no block\n" },
	{ "channel \"x\" {\n\tinclude(\"x\")\n}\n",
	    ":2: write include outside of blocks\n" },
	/* Quotes and comments. */
	{ "store = \"abc\nworkers = 300\n",
	    ":1: close the quotes on this line\n"
	    ":2: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	{ "store = 'abc\\\ndef'\n",
	    ":1: close the quotes on this line\n"
	    ":2: close the quotes on this line\n"
	    ":2: unknown directive \"def\": "
	    "spillway.conf(5) lists them all\n" },
	{ "store = \"a\\x00b\"\nweb-root = \"\\x0\"\n",
	    ":1: leave \\x00 out: no text has such a character\n"
	    ":2: leave \\x00 out: no text has such a character\n" },
	{ "store = \"\\101\"\nstore = \"\\9\"\n",
	    ":1: write \\\\ for a backslash, or \\xHH for a character by its "
	    "number\n"
	    ":2: write \\\\ for a backslash, or \\xHH for a character by its "
	    "number\n" },
	{ "workers = 300\n/* open\nretry = 1\n",
	    ":1: workers = \"300\": write 1 to 256, or 0 (one per core)\n"
	    ":2: close the comment that begins here with */\n" },
	{ "store = \"${HOME\nweb-root = ${HOME\nchannel ${x {\n send = x }\n",
	    ":1: close the variable on this line with }, or write \\$ in "
	    "double quotes\n"
	    ":2: close the variable on this line with }, or write \\$ in "
	    "double quotes\n"
	    ":3: close the variable on this line with }, or write \\$ in "
	    "double quotes\n" },
	{ "listen = *:8080\n", ":1: write \"*:8080\" in double quotes\n" },
	{ "api-token = abc+def/0123456789==\n",
	    ":1: write \"abc+def/0123456789\" in double quotes\n"
	    ":1: write the name of a directive here\n"
	    ":1: write the name of a directive here\n" },
	{ "api-token = abc#def\n",
	    ":1: write \"abc\" in double quotes, or a blank before the "
	    "comment\n" },
	{ "channel room-* {\n send = maybe\n}\nworkers = 300\n",
	    ":1: write \"room-*\" in double quotes\n"
	    ":4: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	/* Lists. */
	{ "listen = \"127.0.0.1:1\", \"127.0.0.1:2\"\nworkers = 300\n",
	    ":1: write a list in braces, such as { a, b }\n"
	    ":2: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	{ "listen = { \"127.0.0.1:1\"\n \"127.0.0.1:2\" }\n",
	    ":2: write one comma between two values of a list\n" },
	{ "listen = { \"127.0.0.1:1\",, \"127.0.0.1:2\" }\n",
	    ":1: write one comma between two values of a list\n" },
	{ "workers = 300\nlisten = {\n \"127.0.0.1:1\"\nretry = 1\n",
	    ":1: workers = \"300\": write 1 to 256, or 0 (one per core)\n"
	    ":2: close the list that begins here with }\n" },
	{ "listen = {}\n",
	    ":1: write a value for listen between the braces, or leave it out "
	    "for the default\n" },
	{ "workers = { 3 }\n",
	    ":1: write workers without braces: it takes one value\n" },
	{ "listen = { \"127.0.0.1:1\", \"x\",\n\"y:1\" }\nlisten += z\n",
	    ":1: listen = \"x\": write a port of 0 to 65535 behind a colon, "
	    "such as 127.0.0.1:8080\n"
	    ":2: listen = \"y:1\": write an IP address, localhost or nothing "
	    "before the port; names are not looked up\n"
	    ":3: listen = \"z\": write a port of 0 to 65535 behind a colon, "
	    "such as 127.0.0.1:8080\n" },
	/* What the backend could not understand, or would never get. */
	{ "bridge-path = events\nbackend-probe-path = \"/a b\"\n",
	    ":1: write a bridge-path that begins with / and has nothing in it "
	    "that URLs escape, such as /spillway-events\n"
	    ":2: write a backend-probe-path that begins with / and has nothing "
	    "in it that URLs escape, such as /healthz, or \"off\"\n" },
	{ "bridge-path = \"/a#b\"\nbackend-probe-path = \"/\xc3\xa4\"\n",
	    ":1: write a bridge-path that begins with / and has nothing in it "
	    "that URLs escape, such as /spillway-events\n"
	    ":2: write a backend-probe-path that begins with / and has nothing "
	    "in it that URLs escape, such as /healthz, or \"off\"\n" },
	{ "bridge-header = { Cookie, \"User Agent\", host, CE-User }\n",
	    ":1: write the name of one header, such as Cookie: \"User Agent\" "
	    "is none\n"
	    ":1: leave out \"host\": it would say something else of the event, "
	    "and never comes along\n"
	    ":1: leave out \"CE-User\": it would say something else of the "
	    "event, and never comes along\n" },
	{ "upgrade = { \"web socket\", H2C }\n",
	    ":1: write the name of one protocol, such as websocket: \"web "
	    "socket\" is none\n"
	    ":1: leave out h2c: it carries requests past all that is checked "
	    "here\n" },
	/* A gateway that asks itself. */
	{ "backend = \"http://localhost:8080\"\n",
	    ":1: write where the application is for backend: at 127.0.0.1:8080 "
	    "it is the gateway itself that listens\n" },
	{ "listen = :80\nanonymous = yes\n"
	  "route \"/a/*\" { backend = { \"http://b\", \"http://127.0.0.2\" } "
	  "}\n",
	    ":3: write where the application is for backend: at :80 it is the "
	    "gateway itself that listens\n" },
	{ "listen = \"unix:/run/a\"\nbackend = \"unix:/run/a weight=2\"\n",
	    ":2: write where the application is for backend: at unix:/run/a it "
	    "is the gateway itself that listens\n" },
	{ "backend = \"http://localhost:808\"\nworkers = 300\n",
	    ":2: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	/* Blocks. */
	{ "workers = 300\nchannel \"x\" {\n send = off\n",
	    ":1: workers = \"300\": write 1 to 256, or 0 (one per core)\n"
	    ":2: close the block that begins here with }\n" },
	{ "channel \"x\" {\n send = off\nchannel \"y\" {\n}\n}\n",
	    ":3: close the block above with } first: blocks do not nest\n" },
	{ "}\nworkers = 300\n",
	    ":1: leave out this }: it closes no block\n"
	    ":2: workers = \"300\": write 1 to 256, or 0 (one per core)\n" },
	{ "channel \"a b\" {}\nchannel \"\" {}\nchannel \"x\" {}\n",
	    ":1: channel \"a b\": write a pattern of 1 to 256 of A-Z a-z 0-9 "
	    ". _ ~ : - and *\n"
	    ":2: channel \"\": write a pattern of 1 to 256 of A-Z a-z 0-9 . _ "
	    "~ : - and *\n" },
	{ "channel \"x\" {\n send = off\n}\n\nchannel \"y\" {}\n"
	  "channel \"x\" {}\n",
	    ":6: channel \"x\" has a block at F:1 already: put all of its "
	    "settings there\n" },
	{ "channel \"x\" {\n\tsend = off\n\tsend = on\n\thistory-age = 7\n}\n",
	    ":3: send is set at F:2 already: leave out one of the two\n"
	    ":4: history-age = \"7\": write the unit as well (ms, s, m, h or "
	    "d), such as 7s\n" },
	{ "channel \"x\" { history-age = 7 }\nchannel \"y\" { history-age = "
	  "64k }\nhistory-age = 1ms\n",
	    ":1: history-age = \"7\": write the unit as well (ms, s, m, h or "
	    "d), such as 7s\n"
	    ":2: history-age = \"64k\": write a whole number and one unit (ms, "
	    "s, m, h or d), such as 15s\n"
	    ":3: history-age = \"1ms\": write 1s to 3650d, or 0 (for ever)\n" },
	/* Values that do not go together. */
	{ "poll-wait = 60s\n",
	    ":1: write poll-wait = 55s or less, or a larger poll-wait-max\n" },
	{ "\npoll-wait-max = 20s\n",
	    ":2: write poll-wait = 20s or less, or a larger poll-wait-max\n" },
	{ "poll-wait-max = 20s\npoll-wait = 21s\n",
	    ":2: write poll-wait = 20s or less, or a larger poll-wait-max\n" },
	{ "poll-limit = 1001\n",
	    ":1: write poll-limit = 1000 or less, or a larger "
	    "poll-limit-max\n" },
	{ "publish-queue-bytes = 1m\nmessage-max = 1025k\n",
	    ":2: write message-max = 1m or less, or a larger "
	    "publish-queue-bytes\n" },
	/* Who may reach what. */
	{ "listen = \":8080\"\nanonymous = no\n",
	    ":1: write anonymous = yes if everybody who reaches \":8080\" may "
	    "subscribe, token-key = \"...\" if clients carry tokens, or listen "
	    "on loopback, such as 127.0.0.1:8080\n" },
	{ "listen = {\n\"127.0.0.1:1\",\n\"10.0.0.1:1\",\n\"[::]:1\" }\n",
	    ":3: write anonymous = yes if everybody who reaches "
	    "\"10.0.0.1:1\" may subscribe, token-key = \"...\" if clients "
	    "carry tokens, or listen on loopback, such as 127.0.0.1:8080\n"
	    ":4: write anonymous = yes if everybody who reaches \"[::]:1\" may "
	    "subscribe, token-key = \"...\" if clients carry tokens, or listen "
	    "on loopback, such as 127.0.0.1:8080\n" },
	{ "anonymous = yes\napi-listen = \"0.0.0.0:8081\"\n",
	    ":2: write api-token = \"...\" as well, or listen on loopback: "
	    "others reach \"0.0.0.0:8081\"\n" },
	{ "api-token = {}\napi-listen = \"0.0.0.0:8081\"\n",
	    ":2: write api-token = \"...\" as well, or listen on loopback: "
	    "others reach \"0.0.0.0:8081\"\n" },
	{ "demo = yes\nanonymous = yes\nlisten = \"0.0.0.0:8080\"\n",
	    ":3: write demo = no, or listen on loopback: others reach "
	    "\"0.0.0.0:8080\"\n" },
	{ "api-listen = { off,\n\"127.0.0.1:1\" }\n",
	    ":1: write \"off\" for api-listen alone, or leave it out\n" },
	{ "listen = { off,\n\"127.0.0.1:1\" }\n",
	    ":1: write \"off\" for listen alone, or leave it out\n" },
	{ "listen = on\n",
	    ":1: listen = \"on\": write a port of 0 to 65535 behind a colon, "
	    "such as 127.0.0.1:8080\n" },
	{ "listen = \"127.0.0.1:8081\"\n",
	    ":1: write another address for listen, or set api-listen as well: "
	    "this one is its default\n" },
	{ "listen = \"127.0.0.1:1\"\napi-listen = \"localhost:1\"\n",
	    ":2: write another address for api-listen: listen has this one at "
	    "F:1\n" },
	{ "listen = { \"unix:/a\", \"unix:/a\" }\n",
	    ":1: write another address for listen: listen has this one at "
	    "F:1\n" },
	{ "anonymous = yes listen = { \":1\",\n\"0.0.0.0:1\" }\n",
	    ":2: write another address for listen: listen has this one at "
	    "F:1\n" },
	/* Certificates and keys. */
	{ "\nlisten-tls = \"127.0.0.1:1\"\n",
	    ":2: write tls-certificate = \"...\" as well: listen-tls needs "
	    "it\n" },
	{ "listen-tls = \":1\"\ntls-certificate = a\n",
	    ":1: write anonymous = yes if everybody who reaches \":1\" may "
	    "subscribe, token-key = \"...\" if clients carry tokens, or "
	    "listen on loopback, such as 127.0.0.1:8080\n" },
	{ "listen-tls = \"127.0.0.1:8080\"\ntls-certificate = a\n",
	    ":1: write another address for listen-tls, or set listen as well: "
	    "this one is its default\n" },
	{ "tls-certificate = { a, b }\n\ntls-key = a\n",
	    ":3: write one tls-key for each tls-certificate, in the same "
	    "order, or none if the certificates' files have them\n" },
	{ "tls-key = a\n",
	    ":1: write one tls-key for each tls-certificate, in the same "
	    "order, or none if the certificates' files have them\n" },
	{ "tls-certificate = { a, b }\ntls-ocsp = c\n",
	    ":2: write one tls-ocsp for each tls-certificate, in the same "
	    "order, with \"none\" where there is none\n" },
	{ "\napi-listen-tls = \"127.0.0.1:1\"\n",
	    ":2: write tls-certificate = \"...\" as well: api-listen-tls "
	    "needs it\n" },
	{ "\napi-client-ca = a\n",
	    ":2: write api-listen-tls = \"...\" as well: api-client-ca is "
	    "for those who come there\n" },
	{ "tls-certificate = a\napi-listen-tls = \":1\"\n",
	    ":2: write api-token = \"...\" as well, or listen on loopback: "
	    "others reach \":1\"\n" },
	{ "redirect-listen = \":80\"\n",
	    ":1: write listen-tls = \"...\", or redirect-port as well: "
	    "redirect-listen sends clients there\n" },
	{ "redirect-port = 65536\n",
	    ":1: redirect-port = \"65536\": write 1 to 65535, or 0 (that of "
	    "the first listen-tls address)\n" },
	{ "tls-certificate = \"\"\n",
	    ":1: tls-certificate = \"\": write a path\n" },
	{ "tls-min-version = 1.1\n",
	    ":1: tls-min-version = \"1.1\": write 1.2 or 1.3\n" },
	/* Tokens, which no fault repeats. */
	{ "api-token = { short,\n\"0123456789 abcdef\",\n\"file:relative\",\n"
	  "\"file:/nonexistent/token\" }\n",
	    ":1: api-token: write a token of 16 to 1024 characters\n"
	    ":2: api-token: write a token of ASCII characters without blanks\n"
	    ":3: api-token: write file: and an absolute path\n"
	    ":4: api-token: /nonexistent/token cannot be read: No such file or "
	    "directory\n" },
	{ "api-token = { \"read:0123456789abcde\", \"publish:\",\n"
	  "\"admin:file:relative\" }\n",
	    ":1: api-token: write a token of 16 to 1024 characters\n"
	    ":1: api-token: write a token of 16 to 1024 characters\n"
	    ":2: api-token: write file: and an absolute path\n" },
	{ "api-socket-mode = 0777\n",
	    ":1: api-socket-mode = \"0777\": write 0600, 0660 or 0666\n" },
	{ "token-key = { none, \"HS256:0123456789abcdef\",\n"
	  "\"RS256:secret\", \"HS384:file:/x\",\n"
	  "\"HS256:kid=:0123456789abcdef\",\n"
	  "\"ES256:file:/nonexistent/key\", \"HS256:short\" }\n",
	    ":1: token-key: write HS256, RS256, ES256 or PS256, a colon and "
	    "the key, such as HS256:file:/etc/spillway/token-key\n"
	    ":1: token-key: write a secret of 32 characters or more: `openssl "
	    "rand -hex 32` makes one\n"
	    ":2: token-key: write file: and the absolute path of a PEM file\n"
	    ":2: token-key: write HS256, RS256, ES256 or PS256, a colon and "
	    "the key, such as HS256:file:/etc/spillway/token-key\n"
	    ":3: token-key: write an id of 1 to 128 characters behind kid=, a "
	    "colon and the key\n"
	    ":4: token-key: /nonexistent/key cannot be read: No such file or "
	    "directory\n"
	    ":4: token-key: write a secret of 32 characters or more: `openssl "
	    "rand -hex 32` makes one\n" },
	/* What SQLite has a meaning of its own for. */
	{ "store = \":memory:\"\n",
	    ":1: store = \":memory:\": write memory, or the path of a file\n" },
	/* Blocks that could never hold. */
	{ "channel \"*\" {\n}\nchannel \"room-1\" {\nsubscribe = anyone\n}\n",
	    ":3: write this block before \"*\" at F:1, which has "
	    "all of its channels: the first one that matches holds\n" },
	{ "channel \"a\" {\n}\nchannel \"a*\" {\n}\nchannel \"*b\" {\n}\n"
	  "channel \"ab*c\" {\n}\n",
	    ":7: write this block before \"a*\" at F:3, which has "
	    "all of its channels: the first one that matches holds\n" },
	{ "bridge-secret = { short, \"whsec_c2hvcnQ=\", \"a b\" }\n",
	    ":1: bridge-secret: write whsec_ and base64 behind it: `echo "
	    "whsec_$(openssl rand -base64 32)` makes one\n"
	    ":1: bridge-secret: write whsec_ and base64 behind it: `echo "
	    "whsec_$(openssl rand -base64 32)` makes one\n"
	    ":1: bridge-secret: write a secret of ASCII characters without "
	    "blanks\n" },
	/* Channels that ask for what nobody could have. */
	{ "subscribe = token\nchannel \"a\" {\nsend-access = token\n}\n",
	    ":1: write token-key = \"...\" as well: without a key no token "
	    "is valid, and subscribe = token lets nobody in\n"
	    ":3: write token-key = \"...\" as well: without a key no token "
	    "is valid, and send-access = token lets nobody in\n" },
	/* The backend grants sending, but not to be let in to ask it. */
	{ "backend = \"http://a\"\nbridge-secret = "
	  "\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"\n"
	  "channel \"a\" {\nbridge-connect = yes\nsend-access = token\n"
	  "subscribe = token\n}\n",
	    ":6: write token-key = \"...\" as well: without a key no token "
	    "is valid, and subscribe = token lets nobody in\n" },
	{ "\nbridge-connect = yes\n",
	    ":2: write backend = \"...\" as well: bridge-connect = yes needs "
	    "it\n"
	    ":2: write bridge-secret = \"...\" as well: by its signatures the "
	    "backend knows our requests from those of clients\n" },
	{ "bridge-connect = no bridge-presence = off\n"
	  "backend = \"http://127.0.0.1:1\"\nchannel \"a\" {\n"
	  "bridge-presence = yes }\n",
	    ":4: write bridge-secret = \"...\" as well: by its signatures the "
	    "backend knows our requests from those of clients\n" },
	/* What would do nothing. */
	{ "\nmessage-mode = queue\n",
	    ":2: write send = bridge as well, or leave out message-mode: only "
	    "what goes to the backend is queued\n" },
	{ "send = publish\nchannel \"a\" {\nmessage-mode = queue\n}\n",
	    ":3: write send = bridge as well, or leave out message-mode: only "
	    "what goes to the backend is queued\n" },
	{ "store = memory\nchannel \"a\" {\ndurability = full\n}\n",
	    ":3: write the path of a file for store, or leave out durability = "
	    "full: what is in memory alone goes with the process\n" },
	{ "token-issuer = a\ntoken-cookie = b\ntoken-in-url = yes\n"
	  "token-leeway = 1s\n",
	    ":1: write token-key = \"...\" as well, or leave out "
	    "token-issuer: it is about tokens, which need a key\n"
	    ":2: write token-key = \"...\" as well, or leave out "
	    "token-cookie: it is about tokens, which need a key\n"
	    ":3: write token-key = \"...\" as well, or leave out "
	    "token-in-url: it is about tokens, which need a key\n" },
	{ "backend-ca = /a\ntrusted-proxy = 10.0.0.0/8\naccess-log = yes\n"
	  "backend-connect-timeout = 1s\n",
	    ":1: write backend = \"...\" as well, or leave out backend-ca: it "
	    "is about it\n"
	    ":2: write backend = \"...\" as well, or leave out "
	    "trusted-proxy: it is about requests to it\n"
	    ":3: write backend = \"...\" as well, or leave out access-log: it "
	    "is about requests to it\n" },
	{ "bridge-path = /a\nbridge-header = Cookie\n",
	    ":1: write backend = \"...\" as well, or leave out bridge-path: "
	    "it is about what it is told\n"
	    ":2: write backend = \"...\" as well, or leave out "
	    "bridge-header: it is about what it is told\n" },
	/* And the rest. */
	{ "token-cookie = \"a b\"\ntoken-audience = \"\"\n"
	  "allow-origin = { \"example.com\", \"https://a/\" }\n",
	    ":1: token-cookie = \"a b\": write a name of letters, digits, - "
	    "and _\n"
	    ":2: token-audience = \"\": write some text\n"
	    ":3: allow-origin = \"example.com\": write a scheme and a host in "
	    "lower case, with the port if it is not the usual one and without "
	    "a path, such as https://app.example.com\n"
	    ":3: allow-origin = \"https://a/\": write a scheme and a host in "
	    "lower case, with the port if it is not the usual one and without "
	    "a path, such as https://app.example.com\n" },
	{ "trusted-proxy = { 10.0.0.0/8, 10.0.0.1/8, \"localhost\" }\n",
	    ":1: trusted-proxy = \"10.0.0.1/8\": write an address, a network "
	    "whose address is zero behind its bits, such as 10.0.0.0/8, or "
	    "unix\n"
	    ":1: trusted-proxy = \"localhost\": write an address, a network "
	    "whose address is zero behind its bits, such as 10.0.0.0/8, or "
	    "unix\n" },
	{ "store = \"\"\nweb-root = ''\n",
	    ":1: store = \"\": write a path\n"
	    ":2: web-root = \"\": write a path\n" },
	{ "# one\n/* two\nthree */ workers = \"a\nb\"\n",
	    ":3: close the quotes on this line\n"
	    ":4: close the quotes on this line\n"
	    ":4: unknown directive \"b\": spillway.conf(5) lists them all\n" },
	{ "log-level = \"\x1b[31m\\\"\"\n",
	    ":1: log-level = \"\\u001b[31m\\\"\": write error, warn, info or "
	    "debug\n" },
};

/*
 * ":1: text" as "spillway.conf:1: text" and "F:1" as "spillway.conf:1", with
 * the lines further down by `offset`.
 */
static void
name_file(const char *faults, unsigned offset, struct buf *out)
{
	const char *p = faults;
	bool at_start = true;

	while (*p != '\0') {
		if (!at_start && (p[0] != 'F' || p[1] != ':')) {
			at_start = *p == '\n';
			buf_put(out, p++, 1);
			continue;
		}
		p = strchr(p, ':') + 1;
		buf_printf(out, "spillway.conf:%lu",
		    strtoul(p, (char **)&p, 10) + offset);
		at_start = false;
	}
	buf_put(out, "", 1);
}

/* The faults of a row, behind that text. */
static void
check_row(int row, const char *before, unsigned lines)
{
	struct buf expected, text;

	buf_init(&expected, 16 * 1024);
	buf_init(&text, 16 * 1024);
	name_file(table[row].faults, lines, &expected);
	buf_puts(&text, before);
	buf_puts(&text, table[row].text);
	buf_put(&text, "", 1);
	ck_assert_str_eq(load_text_faults((const char *)buf_head(&text)),
	    (const char *)buf_head(&expected));
	buf_fini(&expected);
	buf_fini(&text);
}

START_TEST(each_fault_has_its_line_and_what_to_write)
{
	check_row(_i, "", 0);
}
END_TEST

/* Behind comments and all, which libconfuse counts wrong. */
START_TEST(each_fault_has_its_line_behind_other_text)
{
	check_row(_i,
	    "# a comment\n"
	    "\n"
	    "max-channels = 7 # and one more\r\n"
	    "/* of two\n"
	    "   lines */ max-connections = 8 // and another\n"
	    "channel \"first\" { # block\n"
	    "\t/**/ send = \"off\" }\n",
	    7);
}
END_TEST

START_TEST(all_faults_are_reported_at_once_in_order)
{
	ck_assert_str_eq(load_text_faults("listen = \"0.0.0.0:80\"\n"
					  "hartbeat = 1s\n"
					  "heartbeat = 1\n"
					  "poll-wait = 56s\n"
					  "channel \"a b\" {\n"
					  "\tsend = maybe\n"
					  "\tworkers = 1\n"
					  "}\n"
					  "workers = 1 workers = 2\n"
					  "store = \"open\n"),
	    "spillway.conf:1: write anonymous = yes if everybody who reaches "
	    "\"0.0.0.0:80\" may subscribe, token-key = \"...\" if clients "
	    "carry tokens, or listen on loopback, such as 127.0.0.1:8080\n"
	    "spillway.conf:2: unknown directive \"hartbeat\": did you mean "
	    "heartbeat?\n"
	    "spillway.conf:3: heartbeat = \"1\": write the unit as well (ms, "
	    "s, m, h or d), such as 1s\n"
	    "spillway.conf:4: write poll-wait = 55s or less, or a larger "
	    "poll-wait-max\n"
	    "spillway.conf:5: channel \"a b\": write a pattern of 1 to 256 of "
	    "A-Z a-z 0-9 . _ ~ : - and *\n"
	    "spillway.conf:6: send = \"maybe\": write off, publish, echo or "
	    "bridge\n"
	    "spillway.conf:7: write workers outside of the channel block: it "
	    "holds for all channels\n"
	    "spillway.conf:9: workers is set at spillway.conf:9 already: leave "
	    "out one of the two\n"
	    "spillway.conf:10: close the quotes on this line\n");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_a_fault)
{
	char longer[256];

	ck_assert_str_eq(load_faults("none.conf"),
	    "none.conf: cannot be read: No such file or directory\n");
	mkdir(scratch_path("dir.conf"), 0777);
	ck_assert_str_eq(load_faults("dir.conf"),
	    "dir.conf: cannot be read: Is a directory\n");
	scratch_write("binary.conf", "workers = 3\0", 12);
	ck_assert_str_eq(
	    load_faults("binary.conf"), "binary.conf: is not a text file\n");
	file_write("large.conf", "");
	ck_assert_int_eq(
	    truncate(scratch_path("large.conf"), 1024 * 1024 + 1), 0);
	ck_assert_str_eq(load_faults("large.conf"),
	    "large.conf: cannot be read: larger than 1 MiB\n");
	snprintf(longer, sizeof(longer),
	    "include(\"none.conf\")\n\n"
	    "include(\"dir.conf\")\n"
	    "include(\"dir.d/*.conf\")\n");
	ck_assert_str_eq(load_text_faults(longer),
	    "spillway.conf:1: none.conf cannot be read: No such file or "
	    "directory\n"
	    "spillway.conf:3: dir.conf cannot be read: Is a directory\n"
	    "spillway.conf:4: dir.d/*.conf cannot be read: No such file or "
	    "directory; write an include for each file: patterns are not "
	    "expanded\n");
}
END_TEST

START_TEST(faults_of_an_included_file_name_it)
{
	mkdir(scratch_path("sub"), 0777);
	file_write("sub/one.conf",
	    "# nothing\nworkers = 2\nretry = 1\n"
	    "include(\"two.conf\")\nfoo = bar\n");
	file_write("sub/two.conf", "store = \"open\n");
	ck_assert_str_eq(
	    load_text_faults("workers = 1\n# comment\n"
			     "include(\"sub/one.conf\")\nworkers = 300\n"),
	    "spillway.conf:4: workers is set at spillway.conf:1 already: leave "
	    "out one of the two\n"
	    "sub/one.conf:2: workers is set at spillway.conf:1 already: leave "
	    "out one of the two\n"
	    "sub/one.conf:3: retry = \"1\": write the unit as well (ms, s, m, "
	    "h or d), such as 1s\n"
	    "sub/one.conf:5: unknown directive \"foo\": spillway.conf(5) lists "
	    "them all\n"
	    "sub/two.conf:1: close the quotes on this line\n");
}
END_TEST

START_TEST(a_file_that_includes_itself_is_a_fault)
{
	file_write("other.conf", "\n\ninclude(\"spillway.conf\")\n");
	ck_assert_str_eq(load_text_faults("include(\"spillway.conf\")\n"
					  "include(\"other.conf\")\n"),
	    "spillway.conf:1: leave out this include: spillway.conf is being "
	    "read already\n"
	    "other.conf:3: leave out this include: spillway.conf is being read "
	    "already\n");
}
END_TEST

START_TEST(includes_nest_so_deep_and_no_deeper)
{
	char name[32], text[64];

	for (int i = 1; i <= 8; i++) {
		snprintf(name, sizeof(name), "%d.conf", i);
		snprintf(text, sizeof(text), "include(\"%d.conf\")\n", i + 1);
		file_write(name, text);
	}
	file_write("9.conf", "workers = 300\n");
	ck_assert_str_eq(load_faults("1.conf"),
	    "8.conf:1: leave out this include: at most 8 files include each "
	    "other\n");
	ck_assert_str_eq(load_faults("2.conf"),
	    "9.conf:1: workers = \"300\": write 1 to 256, or 0 (one per "
	    "core)\n");
}
END_TEST

/* Eight levels of a hundred includes each would be read for ever. */
START_TEST(includes_that_branch_are_bounded)
{
	struct buf text;
	char name[32];

	for (int i = 1; i <= 8; i++) {
		buf_init(&text, 64 * 1024);
		for (int j = 0; j < 100 && i < 8; j++)
			buf_printf(&text, "include(\"%d.conf\")\n", i + 1);
		buf_puts(&text, "\n");
		snprintf(name, sizeof(name), "%d.conf", i);
		scratch_write(name, buf_head(&text), buf_len(&text));
		buf_fini(&text);
	}
	ck_assert_ptr_nonnull(
	    strstr(load_faults("1.conf"), "there are at most 256 files"));
}
END_TEST

START_TEST(a_token_in_a_file_is_checked_and_not_shown)
{
	char text[512];

	file_write("token", "secret\n");
	snprintf(text, sizeof(text), "api-token = \"file:%s\"\n",
	    scratch_path("token"));
	ck_assert_str_eq(load_text_faults(text),
	    "spillway.conf:1: api-token: write a token of 16 to 1024 "
	    "characters into token\n");
	file_write("token", "");
	ck_assert_str_eq(load_faults("spillway.conf"),
	    "spillway.conf:1: api-token: write a token of 16 to 1024 "
	    "characters into token\n");
	file_write("token", "secret secret secret\n");
	ck_assert_str_eq(load_faults("spillway.conf"),
	    "spillway.conf:1: api-token: write a token of ASCII characters "
	    "without blanks into token\n");
	snprintf(text, sizeof(text), "api-token = \"file:%s\"\n", scratch_dir);
	file_write("spillway.conf", text);
	ck_assert_ptr_nonnull(
	    strstr(load_faults("spillway.conf"), "Is a directory"));
}
END_TEST

START_TEST(a_token_has_from_16_to_1024_characters)
{
	char text[2048];
	struct conf *c;

	for (int n = 15; n <= 1025; n += n == 16 ? 1008 : 1) {
		snprintf(text, sizeof(text), "api-token = %0*d\n", n, 7);
		file_write("spillway.conf", text);
		if (n < 16 || n > 1024) {
			ck_assert_str_eq(load_faults("spillway.conf"),
			    "spillway.conf:1: api-token: write a token of 16 "
			    "to 1024 characters\n");
		} else {
			c = load("spillway.conf");
			ck_assert_uint_eq(
			    strlen(c->api_token[0].secret), (size_t)n);
			conf_free(c);
		}
	}
}
END_TEST

START_TEST(faults_that_do_not_fit_are_an_error_of_their_own)
{
	struct conf *c;
	struct buf faults;

	file_write("spillway.conf", "workers = 300\n");
	buf_init(&faults, 10);
	ck_assert_int_eq(
	    conf_load(&c, scratch_path("spillway.conf"), &faults), SW_ELIMIT);
	ck_assert_ptr_null(c);
	buf_fini(&faults);
}
END_TEST

static const char story[] =
    "# story\n"
    "listen = { \"127.0.0.1:1\", unix:/x } listen += ':2' anonymous = yes\n"
    "/* x */ api-token = \"${HOME:-x}\\\"0123456789abcdef\"\n"
    "channel \"room-*\" { history-age = 1d // c\n"
    " send = echo }\n"
    "channel x {}\n"
    "include(\"other.conf\")\n"
    "heartbeat = 10s;\n";

/*
 * Whatever stands in a file, it is loaded or has faults, and syntax_check finds
 * what libconfuse would stop at: these are its words.
 */
static void
check_any_text(const char *text, size_t len)
{
	static const char *const words[] = { "unexpected token", "equal sign",
		"no such option", "premature", "missing", "escape sequence",
		"octal", "unterminated", "syntax error", "unexpected closing",
		"append to non-list", "internal error", "wrong number" };
	struct conf *c;
	struct buf faults;
	int err;

	scratch_write("spillway.conf", text, len);
	buf_init(&faults, 256 * 1024);
	err = conf_load(&c, scratch_path("spillway.conf"), &faults);
	ck_assert(err == SW_OK || err == SW_EINVAL);
	ck_assert((err == SW_OK) == (c != NULL));
	ck_assert((err == SW_OK) == (buf_len(&faults) == 0));
	buf_put(&faults, "", 1);
	for (int i = 0; i < COUNT(words); i++)
		ck_assert_msg(
		    strstr((char *)buf_head(&faults), words[i]) == NULL,
		    "%s%.*s", (char *)buf_head(&faults), (int)len, text);
	conf_free(c);
	buf_fini(&faults);
}

START_TEST(a_file_may_be_cut_anywhere)
{
	file_write("other.conf", "workers = 3\n");
	for (size_t n = 0; n < sizeof(story); n++)
		check_any_text(story, n);
}
END_TEST

START_TEST(a_file_may_have_any_signs_in_it)
{
	static const char signs[] = "{}()=+,;#\"'*/\\$|\n\r \t0aZ\x80\x01";
	char text[sizeof(story)];
	unsigned random = (unsigned)_i * 7919 + 1;

	file_write("other.conf", "workers = 3\n");
	for (int i = 0; i < 50; i++) {
		memcpy(text, story, sizeof(text));
		for (int j = 0; j < 1 + i % 4; j++) {
			random = random * 1103515245 + 12345;
			text[random / 65536 % (sizeof(text) - 1)] =
			    signs[random / 256 % (sizeof(signs) - 1)];
		}
		check_any_text(text, sizeof(text) - 1);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf/faults");
	TCase *tc = tcase_create("faults");

	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_loop_test(
	    tc, each_fault_has_its_line_and_what_to_write, 0, COUNT(table));
	tcase_add_loop_test(
	    tc, each_fault_has_its_line_behind_other_text, 0, COUNT(table));
	tcase_add_test(tc, all_faults_are_reported_at_once_in_order);
	tcase_add_test(tc, a_file_that_cannot_be_read_is_a_fault);
	tcase_add_test(tc, faults_of_an_included_file_name_it);
	tcase_add_test(tc, a_file_that_includes_itself_is_a_fault);
	tcase_add_test(tc, includes_nest_so_deep_and_no_deeper);
	tcase_add_test(tc, includes_that_branch_are_bounded);
	tcase_add_test(tc, a_token_in_a_file_is_checked_and_not_shown);
	tcase_add_test(tc, a_token_has_from_16_to_1024_characters);
	tcase_add_test(tc, faults_that_do_not_fit_are_an_error_of_their_own);
	tcase_add_test(tc, a_file_may_be_cut_anywhere);
	tcase_add_loop_test(tc, a_file_may_have_any_signs_in_it, 0, 20);
	suite_add_tcase(suite, tc);
	return run_cases(suite);
}
