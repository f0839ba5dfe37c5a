/*
 * Publishing by HTTP. The input is a letter (`b`: a batch, else one event),
 * headers, an empty line and a body, as
 *
 *	bContent-Type: application/x-ndjson CRLF CRLF {"channel":"a","data":1}
 *
 * It is refused with JSON that says why, and nothing is stored; or every line
 * became an event that keeps its promises. Events that are JSON, written down
 * as NDJSON, become the same events.
 *
 * The writer's and the HTTP library's part is played here: the linker puts the
 * functions with `__wrap_` in the place of theirs (--wrap).
 */
#include "proxy/api/api_publish.h"

#include "conf/conf.h"
#include "proxy/base/json.h"
#include "proxy/base/utf8.h"
#include "proxy/publish/send.h"
#include "proxy/worker.h"
#include "tests/fuzz/heads.h"

int __wrap_worker_append(struct worker *w, struct append *a);
bool __wrap_log_in_memory(const struct log *l);
void __wrap_exchange_wait(struct exchange *x);
void __wrap_exchange_answer(
    struct exchange *x, int status, const char *content_type);
void __wrap_exchange_refuse(struct exchange *x, int status, const char *detail);

/* What became of the exchange. */
static struct {
	struct append *append;
	bool waits;
	int status;
} outcome;

int
__wrap_worker_append(struct worker *w, struct append *a)
{
	(void)w;
	must(outcome.append == NULL);
	outcome.append = a;
	return SW_OK;
}

bool
__wrap_log_in_memory(const struct log *l)
{
	(void)l;
	return false;
}

void
__wrap_exchange_wait(struct exchange *x)
{
	(void)x;
	must(outcome.append != NULL && !outcome.waits);
	outcome.waits = true;
}

void
__wrap_exchange_answer(struct exchange *x, int status, const char *content_type)
{
	must(outcome.status == 0);
	must(strstr(content_type, "json") != NULL);
	must(buf_error(&x->reply) == SW_OK);
	must(json_valid(buf_str(&x->reply)));
	outcome.status = status;
}

void
__wrap_exchange_refuse(struct exchange *x, int status, const char *detail)
{
	(void)x;
	must(outcome.status == 0);
	must(status == 400 || status == 413 || status == 415 || status == 503);
	must(*detail != '\0' && utf8_valid(detail, strlen(detail)));
	outcome.status = status;
}

static struct worker *
the_worker(void)
{
	static struct worker *w;
	struct conf *c;
	struct buf faults;

	if (w != NULL)
		return w;
	w = calloc(1, sizeof(*w));
	must(w != NULL);
	buf_init(&faults, 1 << 16);
	must(conf_load(&c, NULL, &faults) == SW_OK);
	w->conf = c;
	strcpy(w->codec.epoch.text, "k3x9");
	must(channels_new(&w->channels, 1 << 20) == SW_OK);
	return w;
}

static const struct policy *
find_policy(void *ctx, struct str name)
{
	return conf_policy(ctx, name);
}

/* Publish; the append is the caller's, or NULL if it was refused. */
static struct append *
publish(const struct request *r, struct str body, bool batch, struct buf *reply)
{
	struct worker *w = the_worker();
	char *copy = fuzz_copy(body);
	struct exchange x = {
		.worker = w,
		.request = *r,
		.body = { copy, body.len },
	};
	struct append *a;

	channels_reload(w->channels, find_policy, (void *)(uintptr_t)w->conf);
	memset(&outcome, 0, sizeof(outcome));
	buf_init(&x.reply, SIZE_MAX / 2);
	if (batch)
		api_publish_batch(&x);
	else
		api_publish_one(&x, STR("room-7"));
	/* Nothing of the request is borrowed any more. */
	free(copy);
	a = outcome.append;
	must((a != NULL) == outcome.waits);
	must((a == NULL) == (outcome.status != 0));
	/* An empty batch of CloudEvents is fine, too. */
	must(a != NULL || (batch && outcome.status == 200) ||
	    (outcome.status >= 400 && outcome.status < 500));
	*reply = x.reply;
	return a;
}

static void
check_item(const struct append_item *item)
{
	const struct event *e = item->event;
	struct str type = event_type(e), data = event_data(e);

	must(e != NULL && channel_name_valid(e->channel->name));
	must(utf8_valid(type.p, type.len));
	must(type.len == 0 || event_type_check(&type) == SW_OK);
	must(e->kind != EVENT_JSON || json_valid(data));
	must(e->kind != EVENT_TEXT || utf8_valid(data.p, data.len));
	if (item->key != NULL)
		must(strlen(item->key) >= 1 && strlen(item->key) <= 255);
}

/* JSON without line ends: outside of strings, blanks may be any. */
static void
put_data(struct buf *out, const struct append_item *item)
{
	struct str data = event_data(item->event);

	for (size_t i = 0; i < data.len; i++) {
		char c = data.p[i];

		buf_put(out, c == '\n' || c == '\r' || c == '\t' ? " " : &c, 1);
	}
}

static void
put_line(struct buf *out, const struct append_item *item)
{
	struct str type = event_type(item->event);

	buf_puts(out, "{\"channel\":");
	json_put_string(out, item->event->channel->name);
	if (type.len > 0) {
		buf_puts(out, ",\"type\":");
		json_put_string(out, type);
	}
	if (item->key != NULL) {
		buf_puts(out, ",\"key\":");
		json_put_string(out, str_of(item->key));
	}
	buf_puts(out, ",\"data\":");
	put_data(out, item);
	must(buf_puts(out, "}\r\n") == SW_OK);
}

static void
same_item(const struct append_item *a, const struct append_item *b)
{
	struct buf left, right;

	must(a->event->channel == b->event->channel);
	must(b->event->kind == EVENT_JSON);
	must(fuzz_same(event_type(a->event), event_type(b->event)));
	must((a->key == NULL) == (b->key == NULL));
	must(a->key == NULL || strcmp(a->key, b->key) == 0);
	buf_init(&left, SIZE_MAX / 2);
	buf_init(&right, SIZE_MAX / 2);
	put_data(&left, a);
	put_data(&right, b);
	must(fuzz_same(str_trim(buf_str(&left)), str_trim(buf_str(&right))));
	buf_fini(&left);
	buf_fini(&right);
}

static void
check_again(const struct append *a)
{
	struct request r = { .method = METHOD_POST };
	struct append *again;
	struct buf lines, reply;

	buf_init(&lines, SIZE_MAX / 2);
	for (size_t i = 0; i < a->count; i++) {
		/* A key is text here, and any bytes in a header. */
		if (a->items[i].event->kind != EVENT_JSON ||
		    (a->items[i].key != NULL &&
			!utf8_valid(
			    a->items[i].key, strlen(a->items[i].key)))) {
			buf_fini(&lines);
			return;
		}
		put_line(&lines, &a->items[i]);
	}
	again = publish(&r, buf_str(&lines), true, &reply);
	must(again != NULL && again->count == a->count);
	for (size_t i = 0; i < a->count; i++)
		same_item(&a->items[i], &again->items[i]);
	append_free(again);
	buf_fini(&reply);
	buf_fini(&lines);
}

/* The writer's answer, good or bad, becomes the exchange's. */
static void
finish(struct append *a, struct buf *reply, bool good)
{
	struct exchange x = { .worker = the_worker(), .reply = *reply };

	for (size_t i = 0; i < a->count; i++)
		a->items[i].id = i + 1;
	a->err = good ? SW_OK : SW_EBUSY;
	a->owner = &x;
	memset(&outcome, 0, sizeof(outcome));
	a->done(a);
	must(outcome.status == (good ? 201 : 503));
	buf_fini(&x.reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char start[] =
	    "POST /v1/events?channel=room-7 HTTP/1.1\r\n"
	    "Host: a\r\nContent-Length: 0\r\n";
	struct append *a;
	struct request r;
	struct buf text, reply;

	if (size < 1)
		return 0;
	buf_init(&text, SIZE_MAX / 2);
	must(buf_puts(&text, start) == SW_OK);
	must(buf_put(&text, data + 1, size - 1) == SW_OK);
	if (head_parse(&r, buf_str(&text)) == HEAD_OK) {
		a = publish(&r,
		    (struct str){ (char *)buf_head(&text) + r.head_size,
			buf_len(&text) - r.head_size },
		    data[0] == 'b', &reply);
		if (a == NULL) {
			buf_fini(&reply);
		} else {
			must(a->count >= 1);
			for (size_t i = 0; i < a->count; i++)
				check_item(&a->items[i]);
			check_again(a);
			finish(a, &reply, size % 2 == 0);
		}
	}
	buf_fini(&text);
	return 0;
}
