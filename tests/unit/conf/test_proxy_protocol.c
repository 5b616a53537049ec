/* proxy_protocol in listeners and pools: where it may stand and what it needs. */
#include "tests/unit/conf/conf_fixture.h"

TEST(bad_values)
{
    CHECK_STR(bad_listener("proxy_protocol = \"v1\""),
              "t:3: error: listeners.web.proxy_protocol: wants true or false, found \"v1\"\n");
    CHECK_STR(bad_pool("proxy_protocol = true"), "t:3: error: pools.app.proxy_protocol: wants one "
                                                 "of: off, v1, v2, found true\n");
    CHECK_STR(bad_pool("proxy_protocol = \"v3\""),
              "t:3: error: pools.app.proxy_protocol: \"v3\" is not one of: off, v1, v2; did you "
              "mean \"v1\"?\n");
}

TEST(nobody_is_believed_unasked)
{
    CHECK(strstr(bad_listener("proxy_protocol = true"), "proxy_protocol needs \"trusted\"") !=
          NULL);
}

TEST(tcp_listeners_trust_only_with_it)
{
    static const char *const without[] = {"trusted = [ \"10.0.0.0/8\" ]",
                                          "timeouts = { header = \"1s\" }"};
    for (unsigned i = 0; i < ARRAY_LEN(without); i++) {
        char text[128];
        snprintf(text, sizeof text, "protocol = \"tcp\", %s", without[i]);
        CHECK(strstr(bad_listener(text),
                     "means nothing with protocol = \"tcp\" without proxy_protocol") != NULL);
    }
    const struct conf *c =
        load_good("listeners = { web = { bind = \"*:80\", pool = \"app\", protocol = "
                  "\"tcp\", proxy_protocol = true, trusted = [ \"10.0.0.0/8\" ], "
                  "timeouts = { header = \"1s\" } } }\n"
                  "pools = { app = { backends = [ \"127.0.0.1:1\" ], proxy_protocol = "
                  "\"v2\" } }");
    CHECK(c->listeners[0].proxy_protocol);
    CHECK_EQ(c->listeners[0].timeouts.header_ms, 1000);
    CHECK_EQ(c->pools[0].proxy_protocol, CONF_PROXY_V2);
}
