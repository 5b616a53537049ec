/* admin/page.h: the page at GET /: one embedded file, served with a policy that lets nothing but
 * its own script run. */
#ifndef BALLAST_ADMIN_PAGE_H
#define BALLAST_ADMIN_PAGE_H

#include "base/base.h"

/* Computes the policy once, at start. */
void page_prepare(void);
/* Content-Security-Policy for a page: each inline <script> is named by its SHA-256 (CSP level 3).
 */
void page_policy(const char *html, size_t len, char *out, size_t cap);

#endif
