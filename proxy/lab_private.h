#ifndef SPILLWAY_PROXY_LAB_PRIVATE_H
#define SPILLWAY_PROXY_LAB_PRIVATE_H

#include "proxy/base/list.h"
#include "proxy/lab.h"

/* What the lab's own files share. One thread: the worker's. */
struct lab {
	struct worker *worker;
	struct map panes;       /* by name */
	struct map conns;       /* by the connection's id */
	struct list publishers; /* of the first worker alone */
};

bool lab_name_valid(struct str name);
void lab_stop_publishers(struct lab *l);

#endif
