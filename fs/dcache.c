// SPDX-License-Identifier: MIT
/*
 * The dcache: names in memory, found by a hash of (parent, name).
 *
 * Only names that exist are in the hash.  A negative dentry lives as long as the one call that
 * looked for it, so there is nothing to invalidate, and a miss in a RAM file system is the answer.
 *
 * Lookups take no lock of the directory.  A bucket's lock covers its chain; a dentry whose last
 * reference has gone is still in the chain for a moment and is passed over.  A rename takes the
 * dentry out of one chain and puts it into another; a lookup that misses meanwhile sees move_count
 * change and looks again, so a file that is renamed over is never absent.
 *
 * Locking: bucket locks (hash_next, is_hashed), tree_lock (parent, name, children, mounted); both
 * RANK_DCACHE, never taken together.  Names and parents change only with rename_lock written, which
 * keeps them for whoever reads it, and under tree_lock, for those who hold only that.
 */
#include "fs/dcache.h"

#include <string.h>

#include "abi/fcntl.h"
#include "fs/dcache_internal.h"
#include "fs/inotify.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"

#define HASH_BITS  13
#define HASH_LOCKS 256

/* A name that does not fit into the dentry; shared by the two dentries of a rename. */
struct long_name {
    unsigned refcount;
    char text[];
};

struct rwlock rename_lock;
struct spinlock dcache_tree_lock;
static struct dentry *hash_table[1 << HASH_BITS];
static struct spinlock hash_locks[HASH_LOCKS];
static unsigned move_count; /* [a] odd while a rename is between two chains, or a mount moves */
static struct slab_cache *dentry_cache;

void dcache_init(void)
{
    rwlock_init(&rename_lock, RANK_RENAME);
    spin_init(&dcache_tree_lock, RANK_DCACHE);
    for (unsigned i = 0; i < HASH_LOCKS; i++)
        spin_init(&hash_locks[i], RANK_DCACHE);
    dentry_cache = slab_cache_create("dentry", sizeof(struct dentry), 16);
    if (!dentry_cache)
        panic("no memory for the dentry cache");
}

static uint32_t hash_in(const struct dentry *parent, uint32_t name_hash)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15ULL + name_hash;

    mixed *= 0xff51afd7ed558ccdULL;
    return (uint32_t)(mixed >> 32);
}

static struct spinlock *lock_of(uint32_t hash)
{
    return &hash_locks[hash % HASH_LOCKS];
}

static struct dentry **bucket_of(uint32_t hash)
{
    return &hash_table[hash & ((1u << HASH_BITS) - 1)];
}

static void hash_insert(struct dentry *dentry)
{
    struct spinlock *lock = lock_of(dentry->hash);
    struct dentry **bucket = bucket_of(dentry->hash);

    spin_lock(lock);
    dentry->hash_next = *bucket;
    dentry->is_hashed = true;
    *bucket = dentry;
    spin_unlock(lock);
}

static void hash_remove(struct dentry *dentry)
{
    struct spinlock *lock = lock_of(dentry->hash);

    spin_lock(lock);
    if (dentry->is_hashed) {
        struct dentry **link = bucket_of(dentry->hash);

        while (*link != dentry)
            link = &(*link)->hash_next;
        *link = dentry->hash_next;
        dentry->is_hashed = false;
    }
    spin_unlock(lock);
}

/* ---- References -------------------------------------------------------------- */

static bool get_unless_zero(struct dentry *dentry)
{
    unsigned count = __atomic_load_n(&dentry->refcount, __ATOMIC_RELAXED);

    while (count != 0) {
        if (__atomic_compare_exchange_n(&dentry->refcount, &count, count + 1, true,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

struct dentry *dentry_get(struct dentry *dentry)
{
    __atomic_fetch_add(&dentry->refcount, 1, __ATOMIC_RELAXED);
    return dentry;
}

/* NULL: the name is in the dentry. */
static struct long_name *long_name_of(const struct dentry *dentry)
{
    if (dentry->name == dentry->inline_name)
        return NULL;
    return container_of(dentry->name, struct long_name, text);
}

static void long_name_put(struct long_name *name)
{
    if (name && __atomic_sub_fetch(&name->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(name);
}

static void children_remove(struct dentry *dentry)
{
    spin_lock(&dcache_tree_lock);
    list_remove(&dentry->sibling_node);
    spin_unlock(&dcache_tree_lock);
}

/* Frees a dentry without references; its parent, whose reference it held, or NULL. */
static struct dentry *dentry_destroy(struct dentry *dentry)
{
    struct dentry *parent = dentry->parent != dentry ? dentry->parent : NULL;

    if (dentry->is_hashed)
        hash_remove(dentry);
    if (!list_is_empty(&dentry->sibling_node))
        children_remove(dentry);
    if (dentry->inode) {
        if (dentry->is_unlinked && dentry->inode->nlink == 0)
            inotify_notify(NULL, dentry->inode, NULL, ABI_IN_DELETE_SELF, 0);
        inode_put(dentry->inode);
    }
    long_name_put(long_name_of(dentry));
    slab_free(dentry_cache, dentry);
    return parent;
}

void dentry_put(struct dentry *dentry)
{
    while (dentry && __atomic_sub_fetch(&dentry->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        dentry = dentry_destroy(dentry);
}

void dentry_pin(struct dentry *dentry)
{
    dentry_get(dentry);
}

void dentry_unpin(struct dentry *dentry)
{
    dentry_put(dentry);
}

/* ---- Making and finding ------------------------------------------------------- */

static int name_set(struct dentry *dentry, const char *text, size_t len)
{
    char *name = dentry->inline_name;

    if (len >= sizeof(dentry->inline_name)) {
        struct long_name *allocated = kmalloc(sizeof(*allocated) + len + 1, ALLOC_WAIT);
        if (!allocated)
            return -ENOMEM;
        allocated->refcount = 1;
        name = allocated->text;
    }
    memcpy(name, text, len);
    name[len] = '\0';
    dentry->name = name;
    dentry->name_len = (uint16_t)len;
    return 0;
}

static int dentry_alloc(struct superblock *sb, const char *name, size_t len, struct dentry **out)
{
    struct dentry *dentry = slab_alloc(dentry_cache, ALLOC_WAIT);

    if (!dentry)
        return -ENOMEM;
    memset(dentry, 0, offsetof(struct dentry, inline_name));
    dentry->refcount = 1;
    dentry->sb = sb;
    dentry->parent = dentry;
    dentry->next_position = 2; /* behind "." and ".." */
    list_init(&dentry->children);
    list_init(&dentry->sibling_node);
    int err = name_set(dentry, name, len);
    if (err) {
        slab_free(dentry_cache, dentry);
        return err;
    }
    *out = dentry;
    return 0;
}

int dentry_create(struct dentry *parent, const char *name, size_t len, struct dentry **out)
{
    if (len > ABI_NAME_MAX)
        return -ENAMETOOLONG;
    int err = dentry_alloc(parent->sb, name, len, out);
    if (err)
        return err;
    (*out)->parent = dentry_get(parent);
    (*out)->hash = hash_in(parent, name_hash(name, len));
    return 0;
}

int dentry_create_anonymous(struct superblock *sb, const char *name, struct inode *inode,
                            struct dentry **out)
{
    size_t len = strlen(name);
    int err = dentry_alloc(sb, name, MIN(len, (size_t)ABI_NAME_MAX), out);

    if (err) {
        if (inode)
            inode_put(inode);
        return err;
    }
    (*out)->inode = inode;
    return 0;
}

/* At the end of the parent's listing.  The parent's inode->lock is held where that order matters. */
static void children_append(struct dentry *dentry)
{
    struct dentry *parent = dentry->parent;

    spin_lock(&dcache_tree_lock);
    dentry->position = parent->next_position++;
    list_push_back(&parent->children, &dentry->sibling_node);
    spin_unlock(&dcache_tree_lock);
}

void dentry_attach(struct dentry *dentry, struct inode *inode)
{
    __atomic_store_n(&dentry->inode, inode, __ATOMIC_RELEASE);
    if (dentry->parent == dentry || dentry->is_unlinked)
        return; /* O_TMPFILE: no place in the tree */
    children_append(dentry);
    hash_insert(dentry);
}

/* The first chain entry that matches and is alive, with a reference. */
static struct dentry *chain_find(struct dentry *parent, const char *name, size_t len, uint32_t hash)
{
    struct spinlock *lock = lock_of(hash);
    struct dentry *dentry;

    spin_lock(lock);
    for (dentry = *bucket_of(hash); dentry; dentry = dentry->hash_next) {
        if (dentry->hash == hash && dentry->parent == parent && dentry->name_len == len &&
            memcmp(dentry->name, name, len) == 0 && get_unless_zero(dentry))
            break;
    }
    spin_unlock(lock);
    return dentry;
}

struct dentry *dentry_find_hashed(struct dentry *parent, const char *name, size_t len,
                                  uint32_t hash)
{
    uint32_t place = hash_in(parent, hash);

    for (;;) {
        unsigned before = __atomic_load_n(&move_count, __ATOMIC_ACQUIRE);
        struct dentry *dentry = chain_find(parent, name, len, place);

        if (dentry)
            return dentry;
        if (!(before & 1) && __atomic_load_n(&move_count, __ATOMIC_ACQUIRE) == before)
            return NULL;
        arch_pause();
    }
}

struct dentry *dentry_find_child(struct dentry *dir, const char *name, size_t len)
{
    return dentry_find_hashed(dir, name, len, name_hash(name, len));
}

/* Whether a name out of the hash is still good; drops it and its reference if not. */
bool dentry_revalidate(struct dentry *dentry)
{
    const struct superblock_ops *ops = dentry->sb->ops;

    if (likely(!ops->revalidate) || ops->revalidate(dentry))
        return true;
    hash_remove(dentry);
    dentry_put(dentry);
    return false;
}

int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
    struct inode *inode = dir->inode;
    struct dentry *dentry = dentry_find_child(dir, name, len);

    assert_held(&inode->lock);
    if (dentry && dentry_revalidate(dentry)) {
        *out = dentry;
        return 0;
    }
    if (dir->is_unlinked)
        return -ENOENT;
    int err = dentry_create(dir, name, len, &dentry);
    if (err)
        return err;
    if (inode->ops->lookup)
        err = inode->ops->lookup(inode, dentry);
    if (err) {
        dentry_put(dentry);
        return err;
    }
    *out = dentry;
    return 0;
}

/* ---- Changing the tree ---------------------------------------------------------- */

void dentry_drop(struct dentry *dentry)
{
    hash_remove(dentry);
    children_remove(dentry);
    dentry->is_unlinked = true;
}

struct dentry *dentry_get_parent(struct dentry *dentry)
{
    spin_lock(&dcache_tree_lock);
    struct dentry *parent = dentry_get(dentry->parent);
    spin_unlock(&dcache_tree_lock);
    return parent;
}

struct dentry *dentry_get_place(struct dentry *dentry, char name[DENTRY_NAME_SIZE])
{
    spin_lock(&dcache_tree_lock);
    struct dentry *parent = dentry_get(dentry->parent);
    memcpy(name, dentry->name, dentry->name_len + 1u);
    spin_unlock(&dcache_tree_lock);
    return parent;
}

bool dentry_is_below(const struct dentry *dentry, const struct dentry *ancestor)
{
    for (;;) {
        if (dentry == ancestor)
            return true;
        if (dentry->parent == dentry)
            return false;
        dentry = dentry->parent;
    }
}

/* from keeps its name too: it is what "(deleted)" is written behind. */
static void place_copy(struct dentry *dentry, const struct dentry *from)
{
    struct long_name *before = long_name_of(dentry), *name = long_name_of(from);

    spin_lock(&dcache_tree_lock);
    dentry->parent = from->parent;
    dentry->name_len = from->name_len;
    if (name) {
        __atomic_fetch_add(&name->refcount, 1, __ATOMIC_RELAXED);
        dentry->name = name->text;
    } else {
        memcpy(dentry->inline_name, from->inline_name, from->name_len + 1u);
        dentry->name = dentry->inline_name;
    }
    spin_unlock(&dcache_tree_lock);
    long_name_put(before);
}

unsigned dcache_moves(void)
{
    return __atomic_load_n(&move_count, __ATOMIC_ACQUIRE);
}

void dcache_move_begin(void)
{
    __atomic_fetch_add(&move_count, 1, __ATOMIC_ACQ_REL);
}

void dcache_move_end(void)
{
    __atomic_fetch_add(&move_count, 1, __ATOMIC_ACQ_REL);
}

void dentry_move(struct dentry *from, struct dentry *to)
{
    struct dentry *old_parent = from->parent;

    dentry_get(to->parent);
    dcache_move_begin();
    hash_remove(from);
    if (to->inode)
        hash_remove(to);
    children_remove(from);
    place_copy(from, to);
    from->hash = to->hash;
    children_append(from);
    hash_insert(from);
    dcache_move_end();
    if (to->inode)
        dentry_drop(to);
    dentry_put(old_parent);
}

static void place_swap(struct dentry *a, struct dentry *b)
{
    spin_lock(&dcache_tree_lock);
    struct dentry *a_parent = a->parent;
    char text[sizeof(a->inline_name)];
    const char *a_long = a->name != a->inline_name ? a->name : NULL;
    const char *b_long = b->name != b->inline_name ? b->name : NULL;
    uint16_t len = a->name_len;

    memcpy(text, a->inline_name, sizeof(text));
    memcpy(a->inline_name, b->inline_name, sizeof(text));
    memcpy(b->inline_name, text, sizeof(text));
    a->name = b_long ? b_long : a->inline_name;
    b->name = a_long ? a_long : b->inline_name;
    a->name_len = b->name_len;
    b->name_len = len;
    a->parent = b->parent;
    b->parent = a_parent;
    spin_unlock(&dcache_tree_lock);
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
    uint32_t hash = a->hash;

    dcache_move_begin();
    hash_remove(a);
    hash_remove(b);
    children_remove(a);
    children_remove(b);
    place_swap(a, b);
    a->hash = b->hash;
    b->hash = hash;
    children_append(a);
    children_append(b);
    hash_insert(a);
    hash_insert(b);
    dcache_move_end();
}

/* Leaves first, so that each put frees one dentry and never recurses. */
void dentry_tree_release(struct dentry *root)
{
    struct dentry *dentry = root;

    for (;;) {
        while (!list_is_empty(&dentry->children))
            dentry = list_first(&dentry->children, struct dentry, sibling_node);
        if (dentry == root)
            return;
        struct dentry *parent = dentry->parent;
        dentry_drop(dentry);
        dentry_unpin(dentry);
        dentry = parent;
    }
}
