#include "proxy/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/str.h"

static bool
is_off(const char *name)
{
	return strcmp(name, "off") == 0;
}

int
process_fill_standard(void)
{
	int fd;

	/* It gets the lowest number that is free. */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0) {
		log_error("process: /dev/null: %s", strerror(errno));
		return SW_EIO;
	}
	close(fd);
	return SW_OK;
}

/* An id that is written as a number; -1 stands for "leave it" in setresuid. */
static bool
id_of(uint32_t *out, const char *text)
{
	uint64_t value;

	if (str_to_u64(&value, str_of(text), UINT32_MAX - 1) != SW_OK)
		return false;
	*out = (uint32_t)value;
	return true;
}

/* Who asks for another user than root does not mean root. */
static int
not_root(const struct identity *id)
{
	if (id->uid != 0)
		return SW_OK;
	log_error(
	    "user=%s: that is root: leave `user` out to stay it", id->user);
	return SW_EINVAL;
}

static int
find_user(struct identity *id, const struct conf *conf)
{
	const struct passwd *entry = getpwnam(conf->user);

	id->user = conf->user;
	if (entry != NULL) {
		id->name = conf->user;
		id->uid = entry->pw_uid;
		id->gid = entry->pw_gid;
		return not_root(id);
	}
	if (!id_of(&id->uid, conf->user)) {
		log_error("user=%s: there is no such user: make one, such as "
			  "useradd --system %s",
		    conf->user, conf->user);
		return SW_EINVAL;
	}
	/* Without an entry nobody says which groups it has. */
	id->gid = id->uid;
	return not_root(id);
}

int
identity_find(struct identity *out, const struct conf *conf)
{
	const struct group *group;
	int err;

	*out = (struct identity){ .changes = !is_off(conf->user) };
	if (!out->changes && is_off(conf->group))
		return SW_OK;
	if (!out->changes) {
		log_error(
		    "group=%s: write user = \"...\" as well", conf->group);
		return SW_EINVAL;
	}
	if ((err = find_user(out, conf)) != SW_OK || is_off(conf->group))
		return err;
	group = getgrnam(conf->group);
	if (group != NULL)
		out->gid = group->gr_gid;
	else if (!id_of(&out->gid, conf->group)) {
		log_error("group=%s: there is no such group", conf->group);
		return SW_EINVAL;
	}
	return SW_OK;
}

int
process_harden(bool core_dumps)
{
	const struct rlimit none = { 0, 0 };

	/* We execute nothing; this is for whoever executes something in us. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		log_error("process: no_new_privs: %s", strerror(errno));
		return SW_EIO;
	}
	/* Changing the user has cleared it. */
	if (core_dumps)
		return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? SW_OK : SW_EIO;
	/* A core_pattern with a program behind it asks for no limit. */
	if (setrlimit(RLIMIT_CORE, &none) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
		log_error(
		    "process: cannot forbid core dumps: %s", strerror(errno));
		return SW_EIO;
	}
	return SW_OK;
}

/*
 * Theirs from now on, if it was root's and has no other name: the directory may
 * be somebody's who would like to have a file of root's elsewhere.
 */
static int
give(int fd, const struct identity *id, const char *what)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		goto fail;
	if (st.st_uid != 0 || id->uid == 0 ||
	    (!S_ISDIR(st.st_mode) &&
		!(S_ISREG(st.st_mode) && st.st_nlink == 1)))
		return SW_OK;
	if (fchown(fd, id->uid, id->gid) == 0)
		return SW_OK;
fail:
	log_error("store: chown %s %s: %s", id->user, what, strerror(errno));
	return SW_ESTORE;
}

static int
give_at(int dir, const char *name, const struct identity *id)
{
	int fd =
	    openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int err;

	/* It is not there, or no file: opening the store will say so. */
	if (fd < 0)
		return SW_OK;
	err = give(fd, id, name);
	close(fd);
	return err;
}

static int
give_payloads(int dir, const char *name, const struct identity *id)
{
	int fd =
	    openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = SW_OK;
	struct dirent *e;
	DIR *list;

	if (fd < 0)
		return SW_OK; /* no large payload so far */
	if ((list = fdopendir(fd)) == NULL) {
		close(fd);
		return SW_ENOMEM;
	}
	while (err == SW_OK && (e = readdir(list)) != NULL)
		if (e->d_name[0] != '.')
			err = give_at(fd, e->d_name, id);
	if (err == SW_OK)
		err = give(fd, id, name);
	closedir(list);
	return err;
}

/* The directory that the store is in, made if it is missing. */
static int
open_directory(int *out, char *path, const struct identity *id)
{
	char *slash = strrchr(path, '/');
	const char *dir = slash == NULL ? "." : slash == path ? "/" : path;
	bool made;

	if (slash != NULL)
		*slash = '\0';
	made = mkdir(dir, S_IRWXU) == 0;
	*out = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out < 0) {
		log_error("store: %s: %s", dir, strerror(errno));
		return SW_ESTORE;
	}
	return made ? give(*out, id, dir) : SW_OK;
}

static int
give_files(int dir, const char *base, const struct identity *id)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-tail",
		".lock", "-outbox", "-outbox-wal", "-outbox-shm" };
	char name[PATH_MAX];
	int err = SW_OK;

	for (size_t i = 0;
	     i < sizeof(suffixes) / sizeof(suffixes[0]) && err == SW_OK; i++) {
		snprintf(name, sizeof(name), "%s%s", base, suffixes[i]);
		err = give_at(dir, name, id);
	}
	snprintf(name, sizeof(name), "%s-payloads", base);
	return err == SW_OK ? give_payloads(dir, name, id) : err;
}

int
process_give_store(const struct identity *id, const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = -1, err;
	char *copy;

	if (!id->changes || geteuid() != 0 || strcmp(path, "memory") == 0)
		return SW_OK;
	if ((copy = strdup(path)) == NULL)
		return SW_ENOMEM;
	err = open_directory(&dir, copy, id);
	if (err == SW_OK)
		err = give_files(dir, slash == NULL ? path : slash + 1, id);
	if (dir >= 0)
		close(dir);
	free(copy);
	return err;
}

int
process_check_store(const struct identity *id, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";

	if (!id->changes || strcmp(path, "memory") == 0)
		return SW_OK;
	if (slash != NULL)
		snprintf(
		    dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path);
	if (access(dir, W_OK | X_OK) == 0)
		return SW_OK;
	log_error("store: user=%s cannot write into %s: %s: let it have that "
		  "directory (chown)",
	    id->user, dir, strerror(errno));
	return SW_ESTORE;
}

int
process_give_socket(const struct identity *id, const char *path)
{
	struct stat st;
	int fd, err = -1;

	if (!id->changes || geteuid() != 0)
		return SW_OK;
	/* Whose directory it is may have put something else there. */
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		errno = EEXIST;
		if (S_ISSOCK(st.st_mode) && st.st_nlink == 1)
			err = fchownat(fd, "", id->uid, id->gid, AT_EMPTY_PATH);
	}
	if (err != 0)
		log_error(
		    "listen: chown %s %s: %s", id->user, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err == 0 ? SW_OK : SW_EIO;
}

static int
fail(const struct identity *id, const char *what)
{
	log_error("process: cannot become user=%s: %s: %s", id->user, what,
	    strerror(errno));
	return SW_EIO;
}

/* Somebody without an entry has no other groups. */
static int
set_groups(const struct identity *id)
{
	return id->name != NULL ? initgroups(id->name, id->gid) :
				  setgroups(1, &id->gid);
}

/* CAP_NET_BIND_SERVICE, for instance: what it was for has been done. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {
		{ 0 },
	};
	uint32_t any = 0;

	if (syscall(SYS_capget, &head, have) != 0)
		goto fail;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		any |= have[i].permitted | have[i].inheritable;
	/* A filter of system calls may forbid even to give up nothing. */
	if (any == 0 || syscall(SYS_capset, &head, none) == 0)
		return SW_OK;
fail:
	log_error("process: cannot give up capabilities: %s", strerror(errno));
	return SW_EIO;
}

int
process_become(const struct identity *id)
{
	if (!id->changes && geteuid() == 0) {
		log_warn("process: this runs as root: write user = \"...\", "
			 "or have systemd start it");
		return SW_OK;
	}
	if (id->changes && getuid() == 0 && id->uid != 0) {
		if (set_groups(id) != 0)
			return fail(id, "groups");
		if (setresgid(id->gid, id->gid, id->gid) != 0 ||
		    setresuid(id->uid, id->uid, id->uid) != 0)
			return fail(id, "for good");
		/* If this works, none of the above did. */
		if (setuid(0) == 0) {
			log_error("process: root could come back");
			return SW_EIO;
		}
		log_info("process became user=%s uid=%u gid=%u", id->user,
		    (unsigned)id->uid, (unsigned)id->gid);
	} else if (id->changes && getuid() != id->uid) {
		errno = EPERM;
		return fail(id, "start it as root, or leave out user");
	}
	return geteuid() == 0 ? SW_OK : drop_capabilities();
}
