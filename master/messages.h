/*
 * master/messages.h: what a child may say, in which state: a table of rows. Anything else is
 * gossip: logged and dropped.
 */
#ifndef BALLAST_MASTER_MESSAGES_H
#define BALLAST_MASTER_MESSAGES_H

#include "master/state.h"

void messages_read(struct process *p); /* all that is there */

#endif
