#include "storage/log.h"

#include <sqlite3.h>

#include "tests/storage/office.h"
#include "tests/suite.h"

static const char *const files[] = { "log.db", "memory" };

/* Nobody is told before everyone may look: the head is there first. */
START_TEST(answers_and_batches_come_after_the_commit_in_order_of_ids)
{
	struct office *o = office_open(files[_i]);

	for (unsigned i = 0; i < 300; i++) {
		say(o, i % 3 == 0 ? "a" : "b", i, NULL);
		if (i % 7 == 0)
			kick(o);
	}
	settle(o);
	for (unsigned d = 0; d < DESKS; d++) {
		uint64_t batch = 0;

		desk_wait(&o->desks[d], DELIVERED, 300);
		for (unsigned i = 0; i < 300; i++) {
			struct note n = desk_nth(&o->desks[d], DELIVERED, i);

			ck_assert_uint_eq(n.id, i + 1);
			ck_assert_str_eq(n.name, i % 3 == 0 ? "a" : "b");
			ck_assert_uint_ge(n.batch, n.id);
			ck_assert_uint_ge(n.batch, batch);
			ck_assert_uint_ge(n.head, n.batch);
			batch = n.batch;
		}
	}
	for (unsigned i = 0; i < 300; i++) {
		struct note n = desk_nth(&o->desks[0], ANSWERED, i);

		ck_assert_int_eq(n.err, SW_OK);
		ck_assert_uint_eq(n.id, i + 1);
		ck_assert_uint_ge(n.head, n.id);
	}
	ck_assert_uint_eq(stats_of(o).events, 300);
	ck_assert_uint_eq(stats_of(o).queued_events, 0);
	ck_assert_uint_eq(stats_of(o).queued_bytes, 0);
	office_close(o);
}
END_TEST

START_TEST(the_events_of_one_request_stay_together)
{
	struct office *o = office_open(files[_i]);
	struct append *a = request_new(o, 1, 3);

	say(o, "a", 1, NULL);
	settle(o);
	for (size_t i = 0; i < 3; i++)
		request_item(o, a, i, i == 1 ? "b" : "a", i, NULL);
	ck_assert_int_eq(log_append(o->log, &o->stage, a), SW_OK);
	kick(o);
	/* It is answered at the desk that asked, and delivered at both. */
	desk_wait(&o->desks[1], ANSWERED, 3);
	for (unsigned d = 0; d < DESKS; d++) {
		desk_wait(&o->desks[d], DELIVERED, 4);
		for (unsigned i = 1; i < 4; i++) {
			struct note n = desk_nth(&o->desks[d], DELIVERED, i);

			ck_assert_uint_eq(n.id, i + 1);
			ck_assert_uint_eq(n.batch, 4);
		}
	}
	ck_assert_uint_eq(o->desks[0].counts[ANSWERED], 1);
	ck_assert_uint_eq(desk_nth(&o->desks[1], DELIVERED, 2).number, 1);
	ck_assert_uint_eq(desk_nth(&o->desks[1], DELIVERED, 3).number, 3);
	office_close(o);
}
END_TEST

/* Published before, and published twice within one group, stored or not. */
START_TEST(an_event_is_published_once_under_its_key)
{
	const char *name = _i % 2 == 0 ? "a" : "memory";
	struct office *o = office_open(files[_i / 2]);
	struct note n;

	say(o, name, 1, "k");
	say(o, name, 2, "k");
	say(o, name, 3, "other");
	say(o, "b", 4, "k"); /* another channel's key */
	settle(o);
	n = desk_nth(&o->desks[0], ANSWERED, 1);
	ck_assert(n.duplicate);
	ck_assert_uint_eq(n.id, 1);
	n = publish(o, name, 5, "k");
	ck_assert(n.duplicate);
	ck_assert_uint_eq(n.id, 1);
	n = publish(o, name, 6, NULL);
	ck_assert(!n.duplicate);
	check_answers(o, 0, SW_OK);
	desk_wait(&o->desks[1], DELIVERED, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(
		    desk_nth(&o->desks[1], DELIVERED, i).id, i + 1);
	ck_assert_uint_eq(stats_of(o).duplicates, 2);
	ck_assert_uint_eq(stats_of(o).events, 4);
	office_close(o);
}
END_TEST

START_TEST(a_key_is_known_after_a_restart)
{
	struct office *o = office_open("log.db");
	struct note n;

	publish(o, "a", 1, "k");
	office_restart(o, "log.db");
	n = publish(o, "a", 1, "k");
	ck_assert(n.duplicate);
	ck_assert_uint_eq(n.id, 1);
	ck_assert_uint_eq(log_head(o->log), 1);
	office_close(o);
}
END_TEST

/* A channel has its new policy before the writer hears of the reload. */
START_TEST(a_key_is_known_when_its_channel_is_kept_in_memory_now)
{
	struct office *o = office_open("log.db");
	struct note n;

	publish(o, "a", 1, "k");
	world_memory(&o->world, "a");
	n = publish(o, "a", 1, "k");
	ck_assert(n.duplicate);
	ck_assert_uint_eq(n.id, 1);
	office_close(o);
}
END_TEST

START_TEST(who_was_answered_finds_the_event)
{
	struct office *o = office_open(files[_i]);
	uint64_t ids[20];

	for (unsigned i = 0; i < 20; i++) {
		ids[i] = publish(o, "a", i * 2000, NULL).id;
		publish(o, "b", 1, NULL);
		check_history(o, "a", ids, i + 1);
	}
	ck_assert_uint_eq(stats_of(o).reads, 20);
	office_close(o);
}
END_TEST

/* However closely groups follow each other, and whatever is asked meanwhile. */
START_TEST(what_was_answered_just_now_is_history)
{
	struct office *o = office_open("log.db");
	uint64_t ids[400];

	publish(o, "a", 1, NULL);
	ids[0] = 1;
	for (unsigned i = 1; i < 400; i++) {
		ids[i] = publish(o, "a", i % 50, NULL).id;
		if (i % 10 == 0)
			check_history(o, "a", ids, i + 1);
	}
	check_history(o, "a", ids, 400);
	office_restart(o, "log.db");
	check_history(o, "a", ids, 400);
	office_close(o);
}
END_TEST

START_TEST(a_log_that_was_closed_goes_on_as_if_it_had_not)
{
	struct office *o = office_open("log.db");
	struct epoch epoch = *log_epoch(o->log);
	uint64_t ids[3];

	ids[0] = publish(o, "a", 10, NULL).id;
	publish(o, "b", 10, NULL);
	ids[1] = publish(o, "a", 10, NULL).id;
	for (unsigned life = 0; life < 3; life++) {
		office_restart(o, "log.db");
		ck_assert_str_eq(log_epoch(o->log)->text, epoch.text);
		ck_assert_uint_eq(log_head(o->log), 3);
		ck_assert_uint_eq(log_boot_head(o->log), 3);
		ck_assert_uint_eq(stats_of(o).channels, 2);
		check_history(o, "a", ids, 2);
	}
	ids[2] = publish(o, "a", 10, NULL).id;
	ck_assert_uint_eq(ids[2], 4);
	desk_wait(&o->desks[0], DELIVERED, 1);
	ck_assert_uint_eq(desk_nth(&o->desks[0], DELIVERED, 0).number, 3);
	check_history(o, "a", ids, 3);
	office_close(o);
}
END_TEST

/* A channel that is new may be one of those that were. */
START_TEST(what_was_forgotten_is_so_in_the_next_life)
{
	struct office *o = office_open("log.db");
	struct channel *c;
	sqlite3 *db;

	publish(o, "a", 10, NULL);
	office_stop(o);
	ck_assert_int_eq(sqlite3_open(scratch_path("log.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
			     "UPDATE state SET value = 7"
			     " WHERE name = 'forgotten'",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	ck_assert_int_eq(sqlite3_changes(db), 1);
	sqlite3_close(db);
	office_start(o, "log.db");
	c = world_channel(&o->world, "new");
	ck_assert_uint_eq(channel_head(c), 7);
	channel_unref(c);
	c = world_channel(&o->world, "a");
	ck_assert_uint_eq(channel_head(c), 1);
	channel_unref(c);
	office_close(o);
}
END_TEST

/* The files as a crash leaves them, at the moment of the answer. */
START_TEST(no_crash_takes_an_answered_event_back_or_its_id)
{
	struct office *o = office_open("log.db");
	struct epoch epoch = *log_epoch(o->log);
	uint64_t ids[3], newest;
	struct note last;

	ids[0] = publish(o, "a", 10, NULL).id;
	ids[1] = publish(o, "a", 10, "k").id;
	/* Of this one nothing is on the disk but the block of its id. */
	newest = publish(o, "memory", 10, NULL).id;
	scratch_copy_store("log.db", "copy.db");
	office_restart(o, "copy.db");
	ck_assert_str_eq(log_epoch(o->log)->text, epoch.text);
	ck_assert_uint_ge(log_boot_head(o->log), newest);
	check_history(o, "a", ids, 2);
	check_history(o, "memory", NULL, 0);
	ck_assert(publish(o, "a", 1, "k").duplicate);
	ids[2] = publish(o, "a", 10, NULL).id;
	ck_assert_uint_gt(ids[2], newest);
	check_history(o, "a", ids, 3);
	/* What history may have is counted on from there. */
	desk_wait(&o->desks[0], DELIVERED, 1);
	last = desk_nth(&o->desks[0], DELIVERED, 0);
	ck_assert_uint_eq(last.number, 3);
	ck_assert_uint_eq(last.total, 30);
	office_close(o);
}
END_TEST

START_TEST(events_kept_in_memory_never_reach_the_store)
{
	struct office *o = office_open("log.db");
	struct append *a = request_new(o, 0, 1);
	struct channel *c = world_channel(&o->world, "memory");
	size_t len;
	char *bytes;

	a->items[0].event = make_event(c, STR("a secret of the house"));
	channel_unref(c);
	stage(o, a);
	say(o, "a", 1, NULL);
	settle(o);
	check_answers(o, 0, SW_OK);
	desk_wait(&o->desks[1], DELIVERED, 2);
	check_history(o, "memory", NULL, 0);
	bytes = scratch_read("log.db-wal", &len);
	ck_assert_ptr_null(memmem(bytes, len, "secret", 6));
	free(bytes);

	office_restart(o, "log.db");
	bytes = scratch_read("log.db", &len);
	ck_assert_uint_gt(len, 0);
	ck_assert_ptr_null(memmem(bytes, len, "secret", 6));
	free(bytes);
	/* Its id is not given to another. */
	ck_assert_uint_eq(log_head(o->log), 2);
	ck_assert_uint_eq(stats_of(o).channels, 1);
	ck_assert_uint_eq(publish(o, "memory", 1, NULL).id, 3);
	office_close(o);
}
END_TEST

/* All desks hear of it between what was before and what comes after. */
START_TEST(a_cleared_channel_begins_anew)
{
	struct office *o = office_open(files[_i]);
	struct append *a = request_new(o, 0, 0);
	uint64_t other, after;
	struct reading r;

	say(o, "a", 1, NULL);
	say(o, "b", 1, NULL);
	say(o, "a", 1, NULL);
	a->clear = world_channel(&o->world, "a");
	stage(o, a);
	say(o, "a", 1, NULL);
	settle(o);
	check_answers(o, 0, SW_OK);
	other = desk_nth(&o->desks[0], ANSWERED, 1).id;
	after = desk_nth(&o->desks[0], ANSWERED, 4).id;
	for (unsigned d = 0; d < DESKS; d++) {
		desk_wait(&o->desks[d], DELIVERED, 4);
		ck_assert_uint_eq(o->desks[d].counts[CLEARED], 1);
		ck_assert_str_eq(desk_nth(&o->desks[d], CLEARED, 0).name, "a");
	}
	/* Of the desk that heard nothing else. */
	ck_assert_int_eq(o->desks[1].notes[3].kind, CLEARED);
	check_history(o, "a", &after, 1);
	check_history(o, "b", &other, 1);
	read_all(o, &r, "a");
	ck_assert(r.part.gap);
	ck_assert_uint_eq(r.part.first, after);
	history_query_fini(&r.read.query);
	if (_i == 0) {
		office_restart(o, "log.db");
		check_history(o, "a", &after, 1);
		check_history(o, "b", &other, 1);
	}
	office_close(o);
}
END_TEST

/* However little there is to commit before. */
START_TEST(what_was_said_just_before_is_cleared_as_well)
{
	struct office *o = office_open(files[_i]);
	struct append *a = request_new(o, 0, 0);

	say(o, "a", 1, NULL);
	a->clear = world_channel(&o->world, "a");
	stage(o, a);
	settle(o);
	check_answers(o, 0, SW_OK);
	desk_wait(&o->desks[0], DELIVERED, 1);
	desk_wait(&o->desks[0], CLEARED, 1);
	check_history(o, "a", NULL, 0);
	office_close(o);
}
END_TEST

/* The crash comes right after the answer. */
START_TEST(a_cleared_channel_stays_so_after_a_crash)
{
	struct office *o = office_open("log.db");
	struct append *a = request_new(o, 0, 0);

	publish(o, "a", 1, NULL);
	a->clear = world_channel(&o->world, "a");
	stage(o, a);
	settle(o);
	scratch_copy_store("log.db", "copy.db");
	office_restart(o, "copy.db");
	check_history(o, "a", NULL, 0);
	office_close(o);
}
END_TEST

/* One event finds no place on the disk; those around it do. */
START_TEST(one_that_cannot_be_stored_fails_alone)
{
	struct office *o = office_open("log.db");
	uint64_t ids[2];
	size_t first;
	struct note bad;

	publish(o, "a", 1, NULL);
	first = o->asked;
	disk_limit(PAYLOAD_LIMIT);
	said_listen();
	say(o, "a", 1, "good");
	say(o, "a", TOO_BIG, "bad");
	say(o, "a", 1, NULL);
	say(o, "a", 1, "good");
	settle(o);
	free(said_end());
	disk_limit(0);
	bad = desk_nth(&o->desks[0], ANSWERED, first + 1);
	ck_assert_int_eq(bad.err, SW_ESTORE);
	ck_assert(bad.explained);
	for (size_t i = 0; i < 4; i++)
		if (i != 1)
			ck_assert_int_eq(
			    desk_nth(&o->desks[0], ANSWERED, first + i).err,
			    SW_OK);
	ck_assert(desk_nth(&o->desks[0], ANSWERED, first + 3).duplicate);
	ids[0] = desk_nth(&o->desks[0], ANSWERED, first).id;
	ids[1] = desk_nth(&o->desks[0], ANSWERED, first + 2).id;
	ck_assert_uint_gt(ids[1], ids[0]);
	ck_assert_uint_eq(
	    desk_nth(&o->desks[0], ANSWERED, first + 3).id, ids[0]);
	desk_wait(&o->desks[1], DELIVERED, 3);
	/* Its number and its key are free again. */
	ck_assert_uint_eq(desk_nth(&o->desks[1], DELIVERED, 2).number, 3);
	ck_assert(!publish(o, "a", TOO_BIG, "bad").duplicate);
	ck_assert(stats_of(o).healthy);
	ck_assert_uint_eq(stats_of(o).failures, 1);
	check_history(o, "a",
	    (const uint64_t[]){ 1, ids[0], ids[1], log_head(o->log) }, 4);
	office_close(o);
}
END_TEST

/* Of one request all events are stored, or none. */
START_TEST(a_request_that_cannot_be_stored_leaves_nothing)
{
	struct office *o = office_open("log.db");
	struct append *a = request_new(o, 0, 3);
	uint64_t ids[2];

	ids[0] = publish(o, "a", 1, NULL).id;
	disk_limit(PAYLOAD_LIMIT);
	said_listen();
	request_item(o, a, 0, "a", 1, "k");
	request_item(o, a, 1, "new", 1, NULL);
	request_item(o, a, 2, "a", TOO_BIG, NULL);
	stage(o, a);
	settle(o);
	said_check("events are refused");
	disk_limit(0);
	check_answers(o, 1, SW_ESTORE);
	ck_assert_uint_eq(log_head(o->log), ids[0]);
	check_history(o, "a", ids, 1);
	check_history(o, "new", NULL, 0);
	ids[1] = publish(o, "a", 1, "k").id;
	ck_assert(!desk_nth(&o->desks[0], ANSWERED, 4).duplicate);
	ck_assert(stats_of(o).healthy);
	publish(o, "new", 1, NULL);
	check_history(o, "a", ids, 2);
	office_restart(o, "log.db");
	check_history(o, "a", ids, 2);
	office_close(o);
}
END_TEST

/* A full disk concerns those who need it, and them until there is room. */
START_TEST(a_full_disk_refuses_what_needs_it_until_there_is_room)
{
	struct office *o = office_open("log.db");
	size_t first;

	said_listen();
	disk_full(o);
	first = o->asked;
	for (unsigned i = 0; i < 3; i++) {
		char key[] = { (char)('0' + i), 0 };

		say(o, "memory", 100, key);
		say(o, "a", 100, "k");
	}
	settle(o);
	said_check("events are refused");
	for (size_t i = 0; i < 6; i++) {
		struct note n = desk_nth(&o->desks[0], ANSWERED, first + i);

		ck_assert_int_eq(n.err, i % 2 == 0 ? SW_OK : SW_ESTORE);
		ck_assert_int_eq(n.explained, i % 2 == 1);
		ck_assert_int_eq(n.duplicate, false);
	}
	/* What was stored is read still. */
	desk_wait(&o->desks[1], DELIVERED, 12 + 3);
	ck_assert_uint_eq(stats_of(o).events, 12 + 3);
	ck_assert_uint_eq(stats_of(o).failures, 3);
	ck_assert(!stats_of(o).healthy);
	ck_assert_uint_gt(strlen(stats_of(o).reason), 0);
	check_history(o, "a", NULL, 0);
	check_history(o, "filler",
	    (const uint64_t[]){ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, 12);
	disk_limit(0);
	ck_assert_int_eq(publish(o, "a", 100, "k").err, SW_OK);
	ck_assert(stats_of(o).healthy);
	desk_wait(&o->desks[1], DELIVERED, 12 + 4);
	ck_assert_uint_eq(desk_nth(&o->desks[1], DELIVERED, 15).number, 1);
	office_close(o);
}
END_TEST

/* A check that comes round until the store says that it works. */
struct patience {
	struct timer timer;
	struct office *office;
};

static void
look_at_health(struct timer *t)
{
	struct patience *p = container_of(t, struct patience, timer);
	struct desk *d = &p->office->desks[1];

	if (stats_of(p->office).healthy)
		desk_note(d, (struct note){ .kind = TOLD }, NULL);
	else
		loop_set_timer(d->loop, t, loop_now_ms(d->loop) + 20);
}

struct errand {
	struct task task;
	struct patience *patience;
};

static void
begin_looking(struct task *t)
{
	look_at_health(&container_of(t, struct errand, task)->patience->timer);
}

START_TEST(a_store_with_room_again_is_found_without_anyone_publishing)
{
	struct office *o = office_open("log.db");
	struct patience p = { .office = o };
	struct errand e = { { .run = begin_looking }, &p };

	timer_init(&p.timer, look_at_health);
	said_listen();
	disk_full(o);
	ck_assert_int_eq(publish(o, "a", 100, NULL).err, SW_ESTORE);
	said_check("events are refused");
	ck_assert(!stats_of(o).healthy);
	disk_limit(0);
	loop_post(o->desks[1].loop, &e.task);
	desk_wait(&o->desks[1], TOLD, 1);
	ck_assert_int_eq(publish(o, "a", 100, NULL).err, SW_OK);
	office_close(o);
}
END_TEST

START_TEST(a_full_queue_says_so_and_takes_one_large_request)
{
	struct office *o = office_open(files[_i]);
	struct append *a = request_new(o, 0, 1), *b = request_new(o, 0, 6);
	struct log_options small = o->options;

	small.queue_events = 4;
	small.queue_bytes = 1000;
	log_reload(o->log, &small);
	for (unsigned i = 0; i < 4; i++)
		say(o, "a", 1, NULL);
	request_item(o, a, 0, "a", 1, NULL);
	ck_assert_int_eq(log_append(o->log, &o->stage, a), SW_EBUSY);
	ck_assert_uint_eq(stats_of(o).queued_events, 4);
	ck_assert_uint_eq(stats_of(o).queued_bytes, 4);
	settle(o);
	stage(o, a);
	settle(o);
	/* Alone it may be larger than the queue. */
	for (size_t i = 0; i < 6; i++)
		request_item(o, b, i, "a", 400, NULL);
	stage(o, b);
	settle(o);
	say(o, "a", 600, NULL);
	a = request_new(o, 0, 1);
	request_item(o, a, 0, "a", 600, NULL);
	ck_assert_int_eq(log_append(o->log, &o->stage, a), SW_EBUSY);
	append_free(a);
	settle(o);
	check_answers(o, 0, SW_OK);
	office_close(o);
}
END_TEST

/* What was handed over is committed; what comes later is refused. */
START_TEST(a_stopped_log_has_answered_and_takes_no_more)
{
	struct office *o = office_open(files[_i]);
	struct append *late = request_new(o, 0, 1),
		      *later = request_new(o, 0, 1);
	struct log_read r = { .loop = o->desks[0].loop };

	for (unsigned i = 0; i < 100; i++)
		say(o, "a", 1, NULL);
	kick(o);
	request_item(o, late, 0, "a", 1, NULL);
	request_item(o, later, 0, "a", 1, NULL);
	stage(o, late); /* admitted, but not handed over in time */
	log_stop(o->log);
	ck_assert_int_eq(log_append(o->log, &o->stage, later), SW_ECLOSED);
	append_free(later);
	ck_assert_int_eq(log_read(o->log, &r), SW_ECLOSED);
	settle(o);
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_eq(
		    desk_nth(&o->desks[0], ANSWERED, i).err, SW_OK);
	check_answers(o, 100, SW_ECLOSED);
	for (unsigned d = 0; d < DESKS; d++)
		desk_wait(&o->desks[d], DELIVERED, 100);
	ck_assert_uint_eq(log_head(o->log), 100);
	office_close(o);
}
END_TEST

SUITE("log", LOOP(answers_and_batches_come_after_the_commit_in_order_of_ids, 2),
    LOOP(the_events_of_one_request_stay_together, 2),
    LOOP(an_event_is_published_once_under_its_key, 4),
    TEST(a_key_is_known_after_a_restart),
    TEST(a_key_is_known_when_its_channel_is_kept_in_memory_now),
    LOOP(who_was_answered_finds_the_event, 2),
    TEST(what_was_answered_just_now_is_history),
    TEST(a_log_that_was_closed_goes_on_as_if_it_had_not),
    TEST(what_was_forgotten_is_so_in_the_next_life),
    TEST(no_crash_takes_an_answered_event_back_or_its_id),
    TEST(events_kept_in_memory_never_reach_the_store),
    LOOP(a_cleared_channel_begins_anew, 2),
    LOOP(what_was_said_just_before_is_cleared_as_well, 2),
    TEST(a_cleared_channel_stays_so_after_a_crash),
    TEST(one_that_cannot_be_stored_fails_alone),
    TEST(a_request_that_cannot_be_stored_leaves_nothing),
    TEST(a_full_disk_refuses_what_needs_it_until_there_is_room),
    TEST(a_store_with_room_again_is_found_without_anyone_publishing),
    LOOP(a_full_queue_says_so_and_takes_one_large_request, 2),
    LOOP(a_stopped_log_has_answered_and_takes_no_more, 2))
