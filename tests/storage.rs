//! One suite for every backend, and what only a file can suffer.
//!
//! A case is an async function over `Arc<dyn Storage>`, and stands in the list `suite!`.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "storage/accounts.rs"]
mod accounts;
#[path = "storage/api_tokens.rs"]
mod api_tokens;
#[path = "storage/busy.rs"]
mod busy;
#[path = "storage/capabilities.rs"]
mod capabilities;
#[path = "storage/cases.rs"]
mod cases;
#[path = "storage/collections.rs"]
mod collections;
#[path = "storage/crash.rs"]
mod crash;
#[path = "storage/devices.rs"]
mod devices;
#[path = "storage/documents.rs"]
mod documents;
#[path = "storage/file.rs"]
mod file;
#[path = "storage/invitations.rs"]
mod invitations;
#[path = "storage/messages.rs"]
mod messages;
#[path = "storage/nodes.rs"]
mod nodes;
#[path = "storage/pages.rs"]
mod pages;
#[path = "storage/portable.rs"]
mod portable;
#[path = "storage/pubsub.rs"]
mod pubsub;
#[path = "storage/push.rs"]
mod push;
#[path = "storage/quota.rs"]
mod quota;
#[path = "storage/room_lists.rs"]
mod room_lists;
#[path = "storage/rooms.rs"]
mod rooms;
#[path = "storage/rosters.rs"]
mod rosters;
#[path = "storage/sessions.rs"]
mod sessions;
#[path = "storage/uploads.rs"]
mod uploads;

/// Runs each case on each backend, under a name of its own.
macro_rules! suite {
    ($($cases:ident: $($case:ident)*;)*) => {
        mod memory {
            $($(
                #[tokio::test]
                async fn $case() {
                    crate::$cases::$case(waxwing::storage::MemoryStorage::new()).await;
                }
            )*)*
        }

        /// With a segment for each row of an archive.
        mod sqlite_cut {
            $($(
                #[tokio::test]
                async fn $case() {
                    let dir = tempfile::tempdir().unwrap();
                    let storage = crate::file::open_cut(dir.path()).await;
                    crate::$cases::$case(storage.clone()).await;
                    waxwing::storage::Storage::close(&*storage).await;
                }
            )*)*
        }

        mod sqlite {
            $($(
                #[tokio::test]
                async fn $case() {
                    let dir = tempfile::tempdir().unwrap();
                    let storage = crate::file::open(dir.path()).await.unwrap();
                    crate::$cases::$case(storage.clone()).await;
                    waxwing::storage::Storage::close(&*storage).await;
                }
            )*)*
        }
    };
}

suite! {
    accounts:
        a_login_is_noted
        accounts_are_counted_by_domain
        accounts_are_listed_in_order_and_by_page
        an_account_is_made_once
        keys_are_added_to_the_proven_password
        keys_are_of_one_hash
        keys_are_replaced_together
        many_accounts_are_made_at_once
        administrators_are_known_by_their_role
        the_secret_stays_the_same
    ;
    api_tokens:
        a_token_is_found_by_its_hash
        an_account_has_so_many_tokens_and_those_that_are_over_do_not_count
        nobody_has_no_tokens
        tokens_go_with_their_account
    ;
    capabilities:
        the_hashes_of_an_account_are_bounded
        what_a_hash_stands_for_stays_as_it_is
    ;
    cases:
        a_closed_storage_answers_errors
        a_document_replaces_the_older_one
        a_long_document_comes_back_whole
        a_new_account_inherits_nothing
        a_removed_account_leaves_nothing
        documents_of_a_kind_come_by_key
        ids_of_messages_are_never_used_again
        messages_wait_in_order_and_by_page
        nobody_waits_for_a_full_neighbour
        sixty_four_write_at_once
        the_limit_of_messages_is_kept
        what_is_not_there_is_none
    ;
    collections:
        links_are_made_all_or_none
        nodes_are_put_into_collections_and_taken_out
        the_root_is_in_no_list
    ;
    devices:
        a_client_is_known_from_its_first_login_to_its_last
        a_new_client_is_told_once
        clients_that_were_not_seen_for_long_are_forgotten
        no_client_knows_a_new_password
        no_client_of_nobody_is_known
        clients_by_resource_take_no_place_of_others
        so_many_clients_are_known
    ;
    documents:
        documents_of_many_owners_are_found
    ;
    invitations:
        a_name_is_reserved_while_its_invitation_is_open
        an_invitation_comes_back_as_it_was_made
        an_invitation_is_used_so_often
        old_invitations_are_forgotten
        so_many_invitations_are_open
    ;
    messages:
        a_message_has_one_number_in_both_archives
        a_message_that_is_replaced_is_replaced_for_all
        a_message_to_oneself_is_held_once
        a_removed_account_takes_its_archive
        many_keep_at_once_and_all_is_in_order
        numbers_grow_though_the_clock_goes_back
        too_many_waiting_is_told_by_the_receipt
        what_is_not_archived_is_gone_when_delivered
        what_was_handed_over_is_seen_at_once
    ;
    pages:
        a_number_that_is_not_in_the_archive_is_told
        a_page_does_not_grow_without_bound
        a_walk_by_pages_finds_each_message_once
        an_archive_has_two_ends
        messages_are_found_by_their_words
        no_search_is_an_error
        pages_are_what_was_asked_for
        the_oldest_messages_are_forgotten_first
    ;
    pubsub:
        a_creator_has_a_share_of_a_service
        a_node_is_made_with_its_first_item
        a_publication_goes_to_the_node_it_was_meant_for
        a_removed_account_is_nothing_at_nodes_of_others
        affiliations_and_subscriptions_come_and_go
        items_are_found_by_page
        items_go_one_by_one_and_all_at_once
        nodes_are_listed_and_bounded
        nodes_count_for_the_quota_and_go_with_the_account
        nodes_without_an_owner_are_found
        pending_subscriptions_are_found
        the_last_item_of_each_node_is_found
        the_newest_items_stay
    ;
    push:
        a_push_registration_comes_back_as_it_was_made
        a_renewed_push_registration_outlives_an_old_error
        push_registrations_count_for_the_quota
        push_registrations_go_by_node_or_by_service
        too_many_push_registrations_remove_the_stalest
    ;
    quota:
        a_full_account_forgets_what_was_delivered_first
        a_full_account_keeps_no_more_of_its_own
        a_full_account_refuses_strangers
        a_message_that_is_replaced_counts_with_its_new_size
        without_room_for_a_marker_the_message_is_in_the_archive
        each_sender_has_a_share_of_what_waits
        what_an_account_keeps_is_counted
    ;
    room_lists:
        a_server_begins_with_rooms_that_are_in_use
        a_user_is_found_in_rooms
        rooms_that_mention_somebody_are_found
        rooms_are_counted
        rooms_are_found_by_their_words
        rooms_are_listed_in_order_and_by_page
    ;
    rooms:
        a_change_replaces_what_it_names
        a_creator_has_so_many_rooms
        a_new_room_inherits_nothing
        a_removed_room_takes_its_archive
        a_room_comes_back_as_it_was_made
        a_room_has_no_quota_unless_it_gets_one
        a_room_is_no_account
        a_room_takes_many_people_at_once
        occupants_come_and_go
    ;
    rosters:
        a_contact_is_found_in_many_rosters
        a_full_roster_still_takes_changes
        a_removed_item_raises_the_version
        a_roster_comes_back_as_it_was_put
        requests_do_not_fill_a_roster
        changes_since_a_version_are_told
        many_change_one_contact_and_nothing_is_lost
        so_many_removed_contacts_are_remembered
        what_others_have_changed_is_not_overwritten
    ;
    sessions:
        a_count_is_remembered_with_its_message
        a_session_is_saved_found_and_forgotten
        many_sessions_come_and_go
    ;
    uploads:
        a_content_is_unused_when_no_file_has_it
        a_day_has_so_many_bytes
        a_full_quota_is_refused
        a_slot_becomes_a_file_once
        a_slot_that_is_given_up_counts_for_what_was_sent
        files_expire_and_slots_do
        files_of_an_account_come_newest_first
        files_share_a_quota_by_purpose
        files_that_are_there_are_listed_apart
        old_files_make_room_when_a_new_one_is_there
    ;
}
