/* back: what becomes of frames that may answer what came in tunnels. */
#include "apps/vxlan_nat/look.h"
#include "apps/vxlan_nat/vxlan_nat.h"

static void take_later_fragment(struct app *app, const struct vxlan_seen *seen)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_flow *answer =
        fragments_find(nat->fragments, seen, engine_now(app->engine));
    if (answer)
        vxlan_return(app, seen, answer);
    else
        vxlan_wait_for_first(app, seen);
}

void vxlan_go_back(struct app *app, const struct vxlan_seen *seen)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    struct vxlan_key key;
    struct vxlan_flow *answer;
    if (!f->l4) {
        take_later_fragment(app, seen);
        return;
    }
    struct vxlan_flow *flow =
        sessions_answered(&nat->sessions, &seen->f.key, &key, &answer);
    if (!flow) {
        vxlan_refuse_packet(app, seen->p, VX_BACK_OTHER);
        return;
    }
    vxlan_count_flow(nat, answer, f);
    sessions_see(&nat->sessions, &key, flow, f->tcp, true);
    if (f->fragment)
        fragments_put(nat->fragments, seen, answer, engine_now(app->engine));
    vxlan_return(app, seen, answer);
    if (f->fragment)
        vxlan_take_early(app, seen); /* whose packet is gone */
}

static void take(struct app *app, struct packet *p)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_seen seen = { .p = p, .back = true };
    app_count(app, BACK_PACKETS, 1);
    if (!nat->state->bidirectional ||
        !look_back(&nat->plan, p->data, p->length, &seen.f)) {
        vxlan_refuse_packet(app, p, VX_BACK_OTHER);
        return;
    }
    vxlan_key_of(&seen.f);
    if (!vxlan_take_error(app, &seen))
        vxlan_go_back(app, &seen);
}

void vxlan_take_back(struct app *app, struct packet *const *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        take(app, p[i]);
}
