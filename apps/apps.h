/* apps: the table of all app classes.
 *
 *   apps_find       a class by its name
 *   apps_all        all of them, ended by NULL
 *   apps_add        one more, made at run time or loaded from a shared object
 *
 * To add an app to the program: write apps/NAME.c with `const struct app_class
 * NAME_class`, and add one line to the list in apps.c.
 */
#pragma once
#include "engine/app.h"

const struct app_class *apps_find(const char *name);
const struct app_class *const *apps_all(void);

/* The class is not copied. -EEXIST when the name is taken. */
int apps_add(const struct app_class *class, struct error *err);
