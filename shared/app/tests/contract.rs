//! The store contract on the store in memory.

use evenstock_app::testing::MemoryStore;

struct Fresh {
    store: MemoryStore,
}

async fn fresh() -> Fresh {
    Fresh { store: MemoryStore::default() }
}

evenstock_app::store_contract!(fresh);
evenstock_app::admin_contract!(fresh);
evenstock_app::warehouse_contract!(fresh);
evenstock_app::job_contract!(fresh);
evenstock_app::central_contract!(fresh);

mod sealing {
    //! The contract of sealers on the one in memory.

    use evenstock_app::testing::MemorySealer;

    struct Fresh {
        sealer: MemorySealer,
    }

    async fn fresh() -> Fresh {
        Fresh { sealer: MemorySealer::default() }
    }

    evenstock_app::seal_contract!(fresh);
}
