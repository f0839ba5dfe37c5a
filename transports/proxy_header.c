#include "transports/proxy_header.h"

#include <arpa/inet.h>

#include "proxy/base/err.h"

enum {
	LINE_MAX_1 = 107, /* of version 1, with its end */
	FIXED_2 = 16,     /* of version 2: what says how long the rest is */
	ADDRESSES_4 = 12,
	ADDRESSES_6 = 36,
	ADDRESSES_UNIX = 216,
};

static const char signature_1[] = "PROXY ";
static const char signature_2[12] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n',
	'Q', 'U', 'I', 'T', '\n' };

/* Do the bytes begin so, as far as they go? */
static bool
may_begin(struct str bytes, const char *with, size_t n)
{
	return memcmp(bytes.p, with, bytes.len < n ? bytes.len : n) == 0;
}

/* The next word, which one blank or the end stands behind. */
static bool
take_word(struct str *rest, char *word, size_t size)
{
	struct str item;

	if (!str_cut(rest, ' ', &item) || item.len == 0 || item.len >= size)
		return false;
	memcpy(word, item.p, item.len);
	word[item.len] = '\0';
	return true;
}

static bool
take_port(struct str *rest, uint16_t *port)
{
	char word[8];
	uint64_t value;

	if (!take_word(rest, word, sizeof(word)) ||
	    str_to_u64(&value, str_of(word), 65535) != SW_OK ||
	    (word[0] == '0' && word[1] != '\0'))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* TCP4 192.0.2.1 192.0.2.2 56324 443 */
static bool
read_line(struct proxy_header *out, struct str line)
{
	char word[INET6_ADDRSTRLEN], own[INET6_ADDRSTRLEN];
	uint8_t scrap[16];
	uint16_t port;
	int family;

	if (line.len > 0 && line.p[line.len - 1] == ' ')
		return false;
	if (!take_word(&line, word, sizeof(word)))
		return false;
	/* What may stand behind that, means nothing. */
	if (strcmp(word, "UNKNOWN") == 0)
		return true;
	if (strcmp(word, "TCP4") != 0 && strcmp(word, "TCP6") != 0)
		return false;
	family = word[3] == '4' ? AF_INET : AF_INET6;
	if (!take_word(&line, word, sizeof(word)) ||
	    !take_word(&line, own, sizeof(own)) ||
	    inet_pton(family, word, out->peer.ip) != 1 ||
	    inet_pton(family, own, scrap) != 1 ||
	    !take_port(&line, &out->peer.port) || !take_port(&line, &port) ||
	    line.len > 0)
		return false;
	out->peer.family = (uint8_t)family;
	address_unmap(&out->peer);
	out->told = true;
	return true;
}

static enum proxy_header_result
parse_1(struct proxy_header *out, struct str bytes)
{
	size_t n = sizeof(signature_1) - 1;
	size_t most = bytes.len < LINE_MAX_1 ? bytes.len : LINE_MAX_1;
	const char *end = memchr(bytes.p, '\n', most);

	if (end == NULL)
		return most == LINE_MAX_1 ||
			memchr(bytes.p, '\0', most) != NULL ?
		    PROXY_HEADER_WRONG :
		    PROXY_HEADER_MORE;
	out->size = (size_t)(end + 1 - bytes.p);
	if (out->size < n + 2 || end[-1] != '\r' ||
	    memchr(bytes.p, '\r', out->size - 2) != NULL ||
	    memchr(bytes.p, '\0', out->size) != NULL ||
	    !read_line(out, (struct str){ bytes.p + n, out->size - n - 2 }))
		return PROXY_HEADER_WRONG;
	return PROXY_HEADER_OK;
}

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum proxy_header_result
parse_2(struct proxy_header *out, struct str bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	const uint8_t *addresses = p + FIXED_2;
	size_t length;

	if (bytes.len > 12 && p[12] != 0x20 && p[12] != 0x21)
		return PROXY_HEADER_WRONG; /* another version, or command */
	if (bytes.len < FIXED_2)
		return PROXY_HEADER_MORE;
	length = be16(p + 14);
	if (length > PROXY_HEADER_MAX - FIXED_2)
		return PROXY_HEADER_WRONG;
	if (bytes.len < FIXED_2 + length)
		return PROXY_HEADER_MORE;
	out->size = FIXED_2 + length;
	/* LOCAL is about the connection itself; 0 says nothing. */
	if (p[12] == 0x20 || p[13] == 0)
		return PROXY_HEADER_OK;
	out->told = true;
	if (p[13] == 0x11 && length >= ADDRESSES_4) {
		out->peer.family = AF_INET;
		memcpy(out->peer.ip, addresses, 4);
		out->peer.port = be16(addresses + 8);
	} else if (p[13] == 0x21 && length >= ADDRESSES_6) {
		out->peer.family = AF_INET6;
		memcpy(out->peer.ip, addresses, 16);
		out->peer.port = be16(addresses + 32);
		address_unmap(&out->peer);
	} else if (p[13] == 0x31 && length >= ADDRESSES_UNIX) {
		out->peer.family = AF_UNIX;
	} else {
		return PROXY_HEADER_WRONG; /* datagrams, or too short */
	}
	return PROXY_HEADER_OK;
}

enum proxy_header_result
proxy_header_parse(struct proxy_header *out, struct str bytes)
{
	*out = (struct proxy_header){ .size = 0 };
	if (bytes.len == 0)
		return PROXY_HEADER_MORE;
	if (may_begin(bytes, signature_2, sizeof(signature_2)))
		return bytes.len < sizeof(signature_2) ? PROXY_HEADER_MORE :
							 parse_2(out, bytes);
	if (!may_begin(bytes, signature_1, sizeof(signature_1) - 1))
		return PROXY_HEADER_WRONG;
	return bytes.len < sizeof(signature_1) - 1 ? PROXY_HEADER_MORE :
						     parse_1(out, bytes);
}
